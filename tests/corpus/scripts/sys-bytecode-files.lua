-- name: sys-bytecode-files
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

-- Bytecode from a file, by every function that reads one.
local ok, code = pcall(string.dump or error, function() return "bytecode" end)
if not ok then code = "\27Lua\x54\0\x19\x93\r\n\x1a\n" .. ("\0"):rep(100) end
for _, head in ipairs{ "", "#!shebang\n", "\xEF\xBB\xBF", "\xEF\xBB\xBF#x\n" } do
  local f = assert(io.open("/tmp/b.lua", "wb"))
  f:write(head, code) f:close()
  package.path = "/tmp/?.lua"
  package.loaded.b = nil
  for _, try in ipairs{ function() return loadfile("/tmp/b.lua") end, function() return loadfile("/tmp/b.lua", "b") end, function() return loadfile("/tmp/b.lua", "bt") end, function() return dofile("/tmp/b.lua") end, function() return require("b") end,
      function() return load(code, "x", "b") end, function() return load(head .. code) end } do
    local fine, r = pcall(try)
    if fine and (type(r) == "function" or r == "bytecode") then print("ESCAPED: bytecode was taken") return end
  end
end
print("CONTAINED")
