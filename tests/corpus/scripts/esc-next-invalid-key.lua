-- name: esc-next-invalid-key
-- class: lua-escape
-- profile: restricted
-- expect: ok invalid key to 'next'
-- accept: ok .*

local t = { a = 1, b = 2 }
print(select(2, pcall(next, t, "c")))
