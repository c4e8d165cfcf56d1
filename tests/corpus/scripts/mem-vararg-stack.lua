-- name: mem-vararg-stack
-- class: memory
-- profile: restricted
-- expect: error stack overflow
-- accept: killed oom
-- accept: killed timeout
-- accept: error .*

local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end
f()
