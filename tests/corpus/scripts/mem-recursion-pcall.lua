-- name: mem-recursion-pcall
-- class: memory
-- profile: restricted
-- expect: ok DONE
-- accept: killed oom
-- accept: error .*

local function f() local ok = pcall(f) return ok end
f()
print("DONE")
