-- name: cpu-utf8-len-long
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local s = ("x"):rep(1 << 24)
while true do utf8.len(s) end
