-- name: esc-traceback-deep
-- class: lua-escape
-- profile: restricted
-- expect: error .*

local function f(n) if n == 0 then error(("m"):rep(100000)) end f(n - 1) local x = 1 end
f(20000)
