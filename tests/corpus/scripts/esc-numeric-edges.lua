-- name: esc-numeric-edges
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

assert(math.mininteger // -1 == math.mininteger and math.mininteger % -1 == 0)
assert(not pcall(function() return 1 // 0 end) and not pcall(function() return 1 % 0 end))
assert(1 << 64 == 0 and 1 << -1 == 0 and 1 >> 64 == 0 and -1 >> 63 == 1)
assert(math.tointeger("8") == nil or math.tointeger("8") == 8)
assert(not pcall(function() return 1.5 | 1 end) and not pcall(function() return 2 ^ 64 | 0 end))
for i = math.maxinteger - 1, math.maxinteger do end
for i = math.mininteger + 1, math.mininteger, -1 do end
pcall(function() for i = 1, 10, 0 do end end)
pcall(math.random, 0) pcall(math.random, 2, 1) pcall(math.random, math.mininteger, math.maxinteger) pcall(math.fmod, math.mininteger, -1) pcall(math.fmod, 1, 0)
print("DONE")
