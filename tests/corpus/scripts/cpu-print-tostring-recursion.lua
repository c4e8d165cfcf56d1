-- name: cpu-print-tostring-recursion
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: error .*

local t = setmetatable({}, {})
getmetatable(t).__tostring = function(self) return tostring(self) end
print(t)
