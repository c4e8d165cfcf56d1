-- name: esc-metatable-fields
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: error .*

-- Every metamethod as every wrong type.
local values = { 1, "x", true, {}, print, coroutine.create(print) }
for _, name in ipairs{ "__index", "__newindex", "__call", "__tostring", "__name", "__len", "__pairs", "__close", "__gc", "__mode", "__eq", "__lt", "__le", "__concat", "__unm", "__add", "__metatable" } do
  for _, v in ipairs(values) do
    local t = setmetatable({}, { [name] = v })
    pcall(function() return t.x end) pcall(function() t.x = 1 end) pcall(function() return t() end) pcall(tostring, t) pcall(function() return #t end)
    pcall(function() for _ in pairs(t) do end end) pcall(function() local c <close> = t end) pcall(function() return t == setmetatable({}, getmetatable(t)) end)
    pcall(function() return t < t end) pcall(function() return t .. t end) pcall(function() return -t + t end) pcall(print, t) pcall(error, t) pcall(setmetatable, t, nil)
  end
end
collectgarbage()
print("DONE")
