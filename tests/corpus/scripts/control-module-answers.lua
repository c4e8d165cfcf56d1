-- name: control-module-answers
-- class: control-channel
-- profile: restricted
-- expect: ok DONE

-- Thousands of questions for modules, in and out of order, from finalizers and coroutines.
for i = 1, 200 do
  local co = coroutine.create(function() pcall(require, "a" .. i) coroutine.yield() end)
  coroutine.resume(co)
  setmetatable({}, { __gc = function() pcall(require, "gc" .. i) end })
  if i % 20 == 0 then collectgarbage() end
end
print("DONE")
