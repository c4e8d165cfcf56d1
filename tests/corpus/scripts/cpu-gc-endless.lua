-- name: cpu-gc-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

-- A finalizer that never ends, run by an explicit collection.
setmetatable({}, { __gc = function() while true do end end })
collectgarbage()
