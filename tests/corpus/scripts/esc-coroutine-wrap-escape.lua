-- name: esc-coroutine-wrap-escape
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: error .*

-- Yields across everything that a C function calls back.
local function y() coroutine.yield() end
local co = coroutine.wrap(function()
  pcall(table.sort, { 3, 2, 1 }, y)
  pcall(string.gsub, "x", "x", y)
  pcall(load, y)
  pcall(tostring, setmetatable({}, { __tostring = y }))
  pcall(print, setmetatable({}, { __tostring = y, __name = "x" }))
  pcall(require, setmetatable({}, { __tostring = y }))
  for _ in pairs(setmetatable({}, { __pairs = function() y() return next, {} end })) do end
  local c <close> = setmetatable({}, { __close = y })
end)
for i = 1, 40 do pcall(co) end
print("DONE")
