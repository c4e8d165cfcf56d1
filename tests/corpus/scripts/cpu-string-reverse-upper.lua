-- name: cpu-string-reverse-upper
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local s = ("x"):rep(1 << 22)
while true do s = s:reverse():upper():lower() end
