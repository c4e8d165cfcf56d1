-- name: out-flood-in-gc
-- class: output
-- profile: restricted
-- expect: killed limit
-- accept: killed timeout

KEEP = setmetatable({}, { __gc = function() while true do print(("x"):rep(10000)) end end })
