-- name: mem-weak-ephemerons
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = setmetatable({}, { __mode = "k" })
local key = {}
t[key] = key
while true do local new = {} t[new] = key t[key] = { new, t[key] } key = new end
