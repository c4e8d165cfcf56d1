-- name: cpu-collectgarbage
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local t = {}
for i = 1, 100000 do t[i] = { i } end
while true do pcall(collectgarbage) pcall(collectgarbage, "step", 1) end
