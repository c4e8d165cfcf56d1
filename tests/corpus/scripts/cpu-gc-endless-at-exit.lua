-- name: cpu-gc-endless-at-exit
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: ok DONE

-- The finalizer is met only when the state is closed.
KEEP = setmetatable({}, { __gc = function() while true do end end })
print("DONE")
