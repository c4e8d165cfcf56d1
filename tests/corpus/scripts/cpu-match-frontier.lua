-- name: cpu-match-frontier
-- class: cpu
-- profile: restricted
-- expect: killed timeout

print(("a "):rep(300000):find((".-%f[%a]"):rep(6) .. "9"))
