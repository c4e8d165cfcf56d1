-- needs: inifile
local ini = require "inifile"
local text = ini.save("x", { main = { key = "value", number = 5, flag = true } }, "memory")
local t = ini.parse(text, "memory")
print(t.main.key, t.main.number, t.main.flag)
