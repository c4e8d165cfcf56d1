-- name: esc-bytecode-error-tells
-- class: lua-escape
-- profile: restricted
-- expect: ok true
-- accept: ok .*

local f, m = load("\27Lua")
print(f == nil and type(m) == "string" and (m:find("binary") ~= nil or m:find("text") ~= nil))
