-- The safe libraries, which both profiles have. Runs under lua5.4, and in a VM in both profiles (tests/unit/test_vm_lua.c).

-- string
assert(("hello"):sub(-3) == "llo" and ("x"):rep(3, ",") == "x,x,x" and ("abc"):reverse() == "cba" and #("\0\0") == 2)
assert(("%5.2f|%-5d|%05d|%x|%q|%s|%i|%c|%g|%a"):format(3.14159, 42, 42, 255, "a\nb\0", nil, 7, 65, 1e20, 1) ==
  " 3.14|42   |00042|ff|\"a\\\nb\\0\"|nil|7|A|1e+20|0x1p+0")
assert(("key = value"):match("^(%w+)%s*=%s*(%w+)$") == "key" and ("f(a(b)c)d"):match("%b()") == "(a(b)c)")
assert(("THE (quick) fox"):find("%((%a+)%)") == 5 and ("a.b"):find(".", 2, true) == 2 and ("x"):find("") == 1)
assert(("hello world"):gsub("o", "0") == "hell0 w0rld" and ("abc"):gsub("%w", "%0%0") == "aabbcc")
assert(("$name is $age"):gsub("%$(%w+)", {name = "Lua", age = 30}) == "Lua is 30" and ("abc"):gsub("", "-") == "-a-b-c-")
local words = {}
for w, n in ("one=1, two=2"):gmatch("(%w+)=(%w+)") do words[#words + 1] = w .. n end
assert(table.concat(words, " ") == "one1 two2" and ("THE"):lower() == "the" and ("%d"):byte() == 37)
assert(("x"):rep(0) == "" and ("\u{48}\x49\74"):len() == 3 and ("a,b,,c"):gsub(",", ";", 2) == "a;b;,c")
assert(("frontier THE test"):gsub("%f[%a]%a+", string.upper) == "FRONTIER THE TEST")
for _, f in ipairs{"<i4", ">I2", "<d", "z", "s1", "!8i8", "<j", "<n", "b", "=H"} do
  local value = f == "z" and "text" or f == "s1" and "text" or 77
  assert(string.unpack(f, string.pack(f, value)) == value, f)
end
assert(string.packsize("<i4i8") == 12 and string.pack(">I3", 0x010203) == "\1\2\3")
assert(not pcall(string.rep, "x", -1 >> 1) and not pcall(string.format, "%d", 1.5) and not pcall(string.pack, "i17", 1))

-- table
local t = {5, 2, 8, 1, 9}
table.sort(t)
assert(table.concat(t, " ") == "1 2 5 8 9")
table.sort(t, function(a, b) return a > b end)
assert(table.concat(t, " ", 2, 4) == "8 5 2")
table.insert(t, 1, 100)
table.insert(t, 0)
assert(t[1] == 100 and #t == 7 and table.remove(t) == 0 and table.remove(t, 1) == 100 and #t == 5)
assert(table.concat(table.move({1, 2, 3}, 1, 3, 3), ",") == "1,2,1,2,3" and table.pack(1, nil).n == 2)
assert(not pcall(table.concat, {{}}) and not pcall(table.insert, {}, 5, 1) and not pcall(table.unpack, {}, 1, 1e8))
math.randomseed(7)
local big = {}
for i = 1, 20000 do big[i] = math.random(1000000) end
table.sort(big)
for i = 2, #big do assert(big[i - 1] <= big[i]) end

-- math
assert(math.floor(-3.5) == -4 and math.ceil(3.2) == 4 and math.max(1, 5, 3) == 5 and math.fmod(-7, 3) == -1)
assert(math.tointeger(3.0) == 3 and math.tointeger(3.5) == nil and math.ult(1, -1) and math.abs(-5) == 5)
assert(math.abs(math.sin(math.pi)) < 1e-15 and math.sqrt(16) == 4.0 and math.log(8, 2) == 3.0 and math.modf(3.7) == 3.0)
math.randomseed(42)
local a, b, c = math.random(), math.random(10), math.random(5, 6)
math.randomseed(42)
assert(a == math.random() and b == math.random(10) and c == math.random(5, 6) and a >= 0 and a < 1)
assert(not pcall(math.random, 2, 1) and math.type(math.random(0)) == "integer")

-- utf8
assert(utf8.char(72, 228, 8364, 128512) == "Hä€😀" and utf8.len("Hä€😀") == 4 and utf8.codepoint("€") == 8364)
assert(utf8.offset("ä€", 2) == 3 and select(2, utf8.len("\xff")) == 1)
local points = {}
for p, code in utf8.codes("aé") do points[#points + 1] = p .. ":" .. code end
assert(table.concat(points, " ") == "1:97 2:233" and ("aé"):match(utf8.charpattern, 2) == "é")

-- os, debug
assert(type(os.time()) == "number" and os.time{year = 2020, month = 1, day = 1, hour = 12} > 1.5e9)
assert(os.date("!%Y-%m-%d %H:%M:%S", 86400) == "1970-01-02 00:00:00" and os.date("!*t", 0).year == 1970)
assert(os.difftime(10, 4) == 6.0 and os.clock() >= 0 and os.getenv("NO_SUCH_VARIABLE_HERE") == nil)
assert(debug.traceback("message", 1):find("^message\nstack traceback:\n"))
assert(not pcall(os.date, "%Ez") and not pcall(os.time, {year = 2020}))

-- something that allocates: words counted, sorted, and put together again
local counts = {}
local text = ("the quick brown fox jumps over the lazy dog "):rep(2000)
for w in text:gmatch("%a+") do counts[w] = (counts[w] or 0) + 1 end
local keys = {}
for k in pairs(counts) do keys[#keys + 1] = k end
table.sort(keys)
assert(#keys == 8 and counts.the == 4000 and keys[1] == "brown")
local parts = {}
for i = 1, 50000 do parts[#parts + 1] = ("%d:%s"):format(i, keys[i % #keys + 1]) end
local joined = table.concat(parts, "\n")
local lines = 0
for _ in joined:gmatch("[^\n]+") do lines = lines + 1 end
assert(lines == 50000)
print("ok")
