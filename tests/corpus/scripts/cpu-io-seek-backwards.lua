-- name: cpu-io-seek-backwards
-- class: cpu
-- profile: full
-- expect: killed timeout

local f = io.tmpfile() or io.stdout
while true do pcall(f.seek, f, "set", math.random(0, 1 << 40)) pcall(f.read, f, "n") end
