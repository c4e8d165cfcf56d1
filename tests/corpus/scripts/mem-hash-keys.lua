-- name: mem-hash-keys
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t, i = {}, 0
while true do i = i + 1 t["key" .. i] = i end
