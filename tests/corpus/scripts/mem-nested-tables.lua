-- name: mem-nested-tables
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
while true do t = { t, {}, {} } end
