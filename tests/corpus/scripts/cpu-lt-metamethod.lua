-- name: cpu-lt-metamethod
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local m = { __lt = function() while true do end end }
print(setmetatable({}, m) < setmetatable({}, m))
