-- name: cpu-hook-count-removed
-- class: cpu
-- profile: full
-- expect: killed timeout

-- Were there a count hook of the host, this takes it away from every coroutine.
debug.sethook()
for _ = 1, 10 do local co = coroutine.create(function() while true do end end) debug.sethook(co) end
while true do end
