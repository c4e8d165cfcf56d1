-- name: mem-error-objects-nested
-- class: memory
-- profile: restricted
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom
-- accept: killed timeout

local function f(n) local ok, e = pcall(f, n + 1) error({ e, ("x"):rep(100) .. n }) end
pcall(f, 1)
print("DONE")
