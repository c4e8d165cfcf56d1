-- name: mem-coroutines
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
while true do
  local co = coroutine.create(function(...) coroutine.yield(...) end)
  coroutine.resume(co, table.unpack({}, 1, 200))
  t[#t + 1] = co
end
