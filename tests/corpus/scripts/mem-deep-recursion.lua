-- name: mem-deep-recursion
-- class: memory
-- profile: restricted
-- expect: error stack overflow
-- accept: killed oom
-- accept: error not enough memory

local function f() return 1 + f() end
f()
