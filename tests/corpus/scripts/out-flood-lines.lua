-- name: out-flood-lines
-- class: output
-- profile: restricted
-- expect: killed limit
-- accept: killed timeout

while true do print("a line of a flood") end
