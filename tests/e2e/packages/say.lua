-- needs: say
local s = require "say"
s:set_namespace("en")
s:set("money", "I have %s dollars")
s:set_namespace("fr")
s:set("so_money", "J'ai %s dollars")
print(s("money", { 1000 }), s("so_money", { "mille" }), s("missing"))
