-- name: cpu-pack-loop
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local f = ("j"):rep(1000)
while true do pcall(string.pack, f, 1) string.packsize(f) end
