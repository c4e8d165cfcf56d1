-- name: cpu-gmatch-quadratic
-- class: cpu
-- profile: restricted
-- expect: killed timeout

for _ in ("a"):rep(2000000):gmatch(".-b") do end
