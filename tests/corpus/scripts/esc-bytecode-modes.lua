-- name: esc-bytecode-modes
-- class: lua-escape
-- profile: restricted
-- expect: denied

local bad = {}
local code = "\27Lua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08\x78\x56\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x77\x40" .. ("\0"):rep(64)
for _, mode in ipairs{ "b", "bt", "tb", "B", "", "binary", "t\0b", "bbbb" } do
  local ok, f = pcall(load, code, "=x", mode)
  if ok and f then bad[#bad + 1] = mode end
end
local ok, f = pcall(load, code)
if ok and f then bad[#bad + 1] = "default" end
print(#bad > 0 and "ESCAPED: bytecode by mode " .. table.concat(bad, " ") or "CONTAINED")
