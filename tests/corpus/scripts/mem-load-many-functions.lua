-- name: mem-load-many-functions
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
while true do t[#t + 1] = load("local a, b = ... return function() return a, b, " .. #t .. " end") end
