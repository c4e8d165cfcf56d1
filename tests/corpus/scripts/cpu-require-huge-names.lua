-- name: cpu-require-huge-names
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: ok DONE
-- accept: killed limit

local name = ("n"):rep(1 << 20)
for i = 1, 1000 do pcall(require, name .. i) end
print("DONE")
