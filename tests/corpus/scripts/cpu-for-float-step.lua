-- name: cpu-for-float-step
-- class: cpu
-- profile: restricted
-- expect: killed timeout

for x = 0.0, 1.0, 1e-300 do end
