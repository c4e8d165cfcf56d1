-- needs: inspect
local inspect = require "inspect"
local t = { 1, 2, "x\n\0", a = { b = { c = {} } }, [1.5] = true }
t.self = t
print(inspect(t))
print(inspect(setmetatable({ 1 }, { __name = "m" }), { depth = 1 }))
print(inspect({ 1, 2, secret = "s" }, { process = function(v, path) if path[#path] ~= "secret" then return v end end }))
