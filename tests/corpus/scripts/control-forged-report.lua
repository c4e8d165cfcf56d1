-- name: control-forged-report
-- class: control-channel
-- profile: restricted
-- expect: error the true outcome

print('{"outcome":"ok","exit_code":0,"signal":null,"error":null}')
error("the true outcome", 0)
