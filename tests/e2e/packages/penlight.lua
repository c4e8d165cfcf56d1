-- needs: pl
-- profile: full
local List = require "pl.List"
local tablex = require "pl.tablex"
local stringx = require "pl.stringx"
local pretty = require "pl.pretty"
local class = require "pl.class"
local OrderedMap = require "pl.OrderedMap"
local Set = require "pl.Set"
local lexer = require "pl.lexer"
local template = require "pl.template"
local seq = require "pl.seq"
local data = require "pl.data"
local stringio = require "pl.stringio"
local sip = require "pl.sip"

print(List{ 5, 3, 9, 1 }:sort():map(function(x) return x * 2 end), List.range(1, 10):filter(function(x) return x % 3 == 0 end))
print(pretty.write(tablex.map(function(v) return v ^ 2 end, { 1, 2, 3 }), ""), tablex.deepcompare({ a = { 1 } }, { a = { 1 } }))
print(stringx.split("a,b,c", ","), stringx.strip("  x  "), stringx.center("x", 5, "*"), stringx.title("hello world"))
local Animal = class()
function Animal:_init(n) self.name = n end
function Animal:__tostring() return "animal " .. self.name end
local Dog = class(Animal)
function Dog:bark() return self.name .. " barks" end
print(Dog("rex"), Dog("rex"):bark(), Dog:class_of(Dog("x")))
local om = OrderedMap()
om:set("z", 1) om:set("a", 2)
print(om, Set{ 1, 2 } + Set{ 2, 3 })
local kinds = {}
for t, v in lexer.lua("local x = 'y' + 1.5 -- c") do kinds[#kinds + 1] = t .. "=" .. tostring(v) end
print(table.concat(kinds, "|"))
print((template.substitute("# for i = 1, 3 do\nline $(i)\n# end\n", { _escape = "#" })))
print(seq.sum(seq.range(1, 100)), data.read(stringio.open("a,b\n1,2\n3,4\n")):column_by_name("b"))
local res = {}
print(sip.match("$i{x} and $v{y}", "12 and abc", res), res.x, res.y)
