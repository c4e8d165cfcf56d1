-- The language itself. Runs under lua5.4, and in a VM in both profiles (tests/unit/test_vm_lua.c): it must not be able to
-- tell them apart.

local function throws(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert(not ok and tostring(message):find(pattern), tostring(message))
end

-- numbers
assert(7 // 2 == 3 and -7 // 2 == -4 and 7 % -3 == -2 and 7.5 // 2 == 3.0 and 2 ^ 10 == 1024.0)
assert(math.type(1) == "integer" and math.type(1.0) == "float" and 1 == 1.0 and math.maxinteger + 1 == math.mininteger)
assert(1 << 63 == math.mininteger and 1 << 64 == 0 and ~0 == -1 and 5 & 3 == 1 and 5 | 3 == 7 and 5 ~ 3 == 6)
assert("10" + 5 == 15 and "0x10" + 0 == 16 and 10 .. "" == "10" and 1e15 .. "" == "1e+15" and 2 ^ 53 .. "" == "9.007199254741e+15")
assert(tostring(0 / 0):find("nan") and 1 / 0 == math.huge and -1 / 0 == -math.huge and 0.0 == -0.0)
assert(tonumber("  0x1p4  ") == 16 and tonumber("z", 36) == 35 and tonumber("1e") == nil and tonumber("8", 8) == nil)
throws("divide by zero", function() return 1 // 0 end)
throws("number has no integer representation", function() return 1.5 | 0 end)

-- tables, loops, goto, integer and float keys
local t = {10, 20, 30, nil, 50, x = 1, [2.0] = "two", [3.5] = "float"}
assert(t[2] == 20 and t[3.5] == "float" and #{n = 3} == 0 and select("#", table.unpack({1, nil, 3}, 1, 3)) == 3)
local seen = {}
for i = 10, 1, -3 do seen[#seen + 1] = i end
assert(table.concat(seen, ",") == "10,7,4,1")
for i = math.maxinteger - 1, math.maxinteger do seen[#seen + 1] = i end
assert(#seen == 6)
do
  local i, n = 1, 0
  ::top::
  if i <= 5 then
    if i % 2 == 0 then goto continue end
    n = n + i
    ::continue::
    i = i + 1
    goto top
  end
  assert(n == 9)
end

-- closures, varargs, multiple results, tail calls
local function counter()
  local n = 0
  return function() n = n + 1 return n end, function() return n end
end
local up, get = counter()
up() up()
assert(get() == 2)
local fs = {}
for i = 1, 3 do fs[i] = function() i = i + 10 return i end end
assert(fs[1]() == 11 and fs[1]() == 21 and fs[2]() == 12)
local function pack(...) return {n = select("#", ...), ...} end
assert(pack().n == 0 and pack(nil, nil).n == 2 and (pack(1, 2, 3))[3] == 3 and select(-1, 1, 2, 3) == 3)
local function loop(n) if n == 0 then return "done" end return loop(n - 1) end
assert(loop(1000000) == "done")

-- metatables
local V = {}
V.__index = V
V.__add = function(a, b) return setmetatable({x = a.x + b.x}, V) end
V.__eq = function(a, b) return a.x == b.x end
V.__lt = function(a, b) return a.x < b.x end
V.__le = function(a, b) return a.x <= b.x end
V.__call = function(self, y) return self.x * y end
V.__tostring = function(self) return "V" .. self.x end
V.__len = function(self) return self.x end
V.__concat = function(a, b) return tostring(a) .. tostring(b) end
V.__unm = function(a) return setmetatable({x = -a.x}, V) end
V.__close = function(self) self.closed = true end
local function v(x) return setmetatable({x = x}, V) end
assert((v(1) + v(2)).x == 3 and v(1) == v(1) and v(1) < v(2) and v(2) <= v(2) and v(3)(4) == 12)
assert(tostring(v(5)) == "V5" and #v(6) == 6 and v(1) .. "x" == "V1x" and (-v(2)).x == -2)
local log = {}
local proxy = setmetatable({}, {__index = function(_, k) log[#log + 1] = k return k .. "!" end,
  __newindex = function(_, k, value) log[#log + 1] = k .. "=" .. value end, __pairs = function() return next, {a = 1}, nil end})
assert(proxy.foo == "foo!")
proxy.bar = 5
for k, value in pairs(proxy) do log[#log + 1] = k .. value end
assert(table.concat(log, " ") == "foo bar=5 a1")
assert(getmetatable(setmetatable({}, {__metatable = "locked"})) == "locked")
throws("cannot change a protected metatable", setmetatable, setmetatable({}, {__metatable = 1}), {})

-- to-be-closed variables, constants
local closed = v(0)
do local c <close>, k <const> = closed, 5 assert(not c.closed and k == 5) end
assert(closed.closed)
local order = {}
local function closer(name) return setmetatable({}, {__close = function(_, e) order[#order + 1] = name .. tostring(e) end}) end
pcall(function()
  local a <close> = closer("a")
  local b <close> = closer("b")
  error("E", 0)
end)
assert(table.concat(order, " ") == "bE aE")

-- errors
throws("attempt to index a nil value %(local 'nothing'%)", function() local nothing return nothing.x end)
throws("attempt to call a table value", function() local callee = {} callee() end)
throws("attempt to compare number with nil", function() return 1 < nil end)
throws("attempt to concatenate a nil value", function() return "x" .. nil end)
throws("stack overflow", function() local function f() return 1 + f() end f() end)
assert(select(2, pcall(error)) == nil and select(2, pcall(error, {code = 7})).code == 7)
assert(select(2, xpcall(function() error("in", 0) end, function(m) return m .. " handled" end)) == "in handled")
assert(select("#", pcall(function() return 1, nil, nil end)) == 4)

-- coroutines
local co = coroutine.create(function(a, b)
  local c = coroutine.yield(a + b)
  local d, e = coroutine.yield(c * 2)
  return d + e
end)
assert(select(2, coroutine.resume(co, 1, 2)) == 3 and select(2, coroutine.resume(co, 10)) == 20)
assert(select(2, coroutine.resume(co, 3, 4)) == 7 and coroutine.status(co) == "dead" and not coroutine.resume(co))
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local sum = 0
for i in gen(100) do sum = sum + i end
assert(sum == 5050)
assert(coroutine.wrap(function() return pcall(function() return coroutine.yield(1) end) end)() == 1)
assert(coroutine.isyieldable() == false and select(2, coroutine.running()) == true)
co = coroutine.create(function() local c <close> = closer("co") coroutine.yield() end)
coroutine.resume(co)
assert(coroutine.close(co) and order[#order] == "conil")
co = coroutine.wrap(function() table.sort({3, 2, 1}, function() coroutine.yield() end) end)
throws("attempt to yield across a C%-call boundary", co)

-- garbage: weak tables, finalizers
local weak = setmetatable({}, {__mode = "k"})
weak[{}] = 1
collectgarbage()
assert(next(weak) == nil)
local finalized = 0
for _ = 1, 100 do setmetatable({}, {__gc = function() finalized = finalized + 1 end}) end
collectgarbage()
collectgarbage()
assert(finalized == 100)
assert(collectgarbage("count") > 0 and collectgarbage("isrunning"))

-- load
assert(load("return 1 + 1")() == 2 and load("return ...", "c", "t")(5) == 5)
local env = {}
load("x = 1", "c", "t", env)()
assert(env.x == 1 and x == nil)
assert(not load("x ="))
print("ok")
