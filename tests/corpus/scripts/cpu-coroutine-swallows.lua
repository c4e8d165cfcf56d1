-- name: cpu-coroutine-swallows
-- class: cpu
-- profile: restricted
-- expect: killed timeout

-- Each coroutine dies of an error; a hook that raised one would be swallowed too.
while true do
  local co = coroutine.create(function() while true do end end)
  coroutine.resume(co)
end
