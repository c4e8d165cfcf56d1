-- name: out-flood-bytes
-- class: output
-- profile: full
-- expect: killed limit
-- accept: killed timeout

io.stdout:setvbuf("no")
while true do io.write("x") end
