-- name: mem-traceback-huge
-- class: memory
-- profile: restricted
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

local function f(n) if n == 0 then return #debug.traceback(("x"):rep(1 << 20)) end return (f(n - 1)) end
print(pcall(f, 10000))
print("DONE")
