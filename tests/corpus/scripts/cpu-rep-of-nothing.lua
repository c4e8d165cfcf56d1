-- name: cpu-rep-of-nothing
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: ok DONE

-- A loop inside one C function that copies nothing, for ever.
local s = (""):rep(1 << 62)
print("DONE")
