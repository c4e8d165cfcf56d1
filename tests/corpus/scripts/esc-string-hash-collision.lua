-- name: esc-string-hash-collision
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: killed timeout

-- Long strings whose sampled bytes are equal.
local t, body = {}, ("x"):rep(200)
for i = 1, 20000 do t[body .. i .. body] = i end
print("DONE")
