-- name: cpu-require-loop
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local i = 0
while true do i = i + 1 pcall(require, "m" .. i) end
