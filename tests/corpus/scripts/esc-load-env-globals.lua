-- name: esc-load-env-globals
-- class: lua-escape
-- profile: restricted
-- expect: denied

-- load must not hand out more than the script has.
local bad = {}
for _, name in ipairs{ "io", "package", "dofile", "loadfile", "loadstring", "setfenv", "getfenv", "module", "newproxy", "unpack", "jit", "bit32", "ffi" } do
  local f = load("return " .. name)
  if f and f() ~= nil then bad[#bad + 1] = name end
  if rawget(_G, name) ~= nil then bad[#bad + 1] = "_G." .. name end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
