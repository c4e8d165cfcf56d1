-- name: pids-coroutine-threads
-- class: pids
-- profile: restricted
-- expect: ok DONE
-- accept: killed oom
-- accept: error .*

-- Coroutines are no processes: a hundred thousand are memory only.
local t = {}
for i = 1, 20000 do t[i] = coroutine.create(function() coroutine.yield() end) coroutine.resume(t[i]) end
print("DONE")
