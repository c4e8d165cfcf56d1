-- name: mem-oom-in-close
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: error .*
-- accept: killed timeout

local x <close> = setmetatable({}, { __close = function() local t = {} while true do t = { t } end end })
local t = {}
while true do t = { t } end
