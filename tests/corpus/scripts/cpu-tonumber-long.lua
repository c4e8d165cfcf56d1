-- name: cpu-tonumber-long
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local s = ("9"):rep(1 << 24)
while true do tonumber(s) end
