-- name: out-setvbuf-and-die
-- class: output
-- profile: full
-- expect: killed timeout
-- accept: killed limit

io.stdout:setvbuf("full", 1 << 16)
while true do io.write("buffered") end
