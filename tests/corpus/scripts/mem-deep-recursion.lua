-- name: mem-deep-recursion
-- class: memory
-- profile: restricted
-- expect: error stack overflow
-- accept: killed oom

local function f() return 1 + f() end
f()
