-- name: esc-string-metatable-arith
-- class: lua-escape
-- profile: restricted
-- expect: denied

-- Arithmetic on strings goes through metamethods that are Lua-visible in 5.4.
local ok, mt = pcall(getmetatable, "10")
if ok and type(mt) == "table" and rawget(mt, "__add") then print("ESCAPED: " .. tostring(mt.__add)) return end
print("CONTAINED")
