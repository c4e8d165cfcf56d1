-- name: cpu-load-long-chain
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: ok DONE
-- accept: error .*

-- Constant folding and jump lists of a very long expression.
for i = 1, 100 do load("local a = 1 " .. ("if a then a = a + 1 else a = 2 end "):rep(20000)) end
print("DONE")
