-- name: cpu-io-lines-endless
-- class: cpu
-- profile: full
-- expect: killed timeout

local f = assert(io.tmpfile())
f:write(("x\n"):rep(100000))
while true do f:seek("set") for l in f:lines() do end end
