-- name: cpu-gsub-balance-quadratic
-- class: cpu
-- profile: restricted
-- expect: killed timeout

print(#(("("):rep(4000000):gsub("%b()", "")))
