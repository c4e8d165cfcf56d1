-- name: mem-shared-concat
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom

-- One string, a hundred thousand times: little is held, much is asked for.
local s, t = ("x"):rep(1 << 16), {}
for i = 1, 100000 do t[i] = s end
print(#table.concat(t))
