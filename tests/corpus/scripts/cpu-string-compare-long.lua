-- name: cpu-string-compare-long
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local a = ("x"):rep(1 << 23)
local b = a .. "y"
while true do local c = a < b end
