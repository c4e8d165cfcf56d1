-- name: out-flood-both
-- class: output
-- profile: full
-- expect: killed limit
-- accept: killed timeout

while true do io.stdout:write(("o"):rep(1000)) io.stderr:write(("e"):rep(1000)) end
