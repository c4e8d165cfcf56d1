-- name: mem-strings
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
while true do t[#t + 1] = ("x"):rep(1 << 16) .. #t end
