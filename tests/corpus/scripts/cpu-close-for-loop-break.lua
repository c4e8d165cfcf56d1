-- name: cpu-close-for-loop-break
-- class: cpu
-- profile: restricted
-- expect: killed timeout

-- The fourth value of a generic for is closed at break.
local closer = setmetatable({}, { __close = function() while true do end end })
for _ in next, { 1 }, nil, closer do break end
