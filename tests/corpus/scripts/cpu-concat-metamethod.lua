-- name: cpu-concat-metamethod
-- class: cpu
-- profile: restricted
-- expect: killed timeout

print("x" .. setmetatable({}, { __concat = function() while true do end end }))
