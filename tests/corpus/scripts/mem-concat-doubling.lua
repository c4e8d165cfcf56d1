-- name: mem-concat-doubling
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom

local s = "x"
while true do s = s .. s end
