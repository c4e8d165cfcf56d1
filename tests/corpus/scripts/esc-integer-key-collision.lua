-- name: esc-integer-key-collision
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: killed timeout

-- Keys that all fall into one place of a hash.
local t = {}
for i = 0, 20000 do t[i * (1 << 40)] = true end
for i = 0, 20000 do t[i + 0.5] = true t[2 ^ (i % 1000)] = i end
print("DONE")
