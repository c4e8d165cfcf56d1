-- name: out-flood-warn
-- class: output
-- profile: restricted
-- expect: killed limit
-- accept: killed timeout

warn("@on")
while true do warn(("w"):rep(10000)) end
