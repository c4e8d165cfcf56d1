-- name: cpu-sort-quadratic
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: ok DONE

-- A fake length: the sort reads a billion values that are not there.
local t = setmetatable({}, { __len = function() return 1 << 30 end, __index = function(_, i) return i end, __newindex = function() end })
pcall(table.sort, t)
print("DONE")
