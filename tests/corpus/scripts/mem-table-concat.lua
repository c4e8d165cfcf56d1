-- name: mem-table-concat
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
for i = 1, 1000 do t[i] = ("x"):rep(1 << 20) end
print(#table.concat(t))
