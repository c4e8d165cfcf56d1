-- name: esc-require-in-coroutine
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

for i = 1, 50 do
  local co = coroutine.wrap(function() pcall(require, "nothing" .. i) coroutine.yield() pcall(require, "more" .. i) end)
  co() co()
end
setmetatable({}, { __gc = function() pcall(require, "in.gc") end })
collectgarbage()
table.sort({ 2, 1 }, function(a, b) pcall(require, "in.sort") return a < b end)
print("DONE")
