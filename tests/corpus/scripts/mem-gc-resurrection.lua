-- name: mem-gc-resurrection
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

-- Every finalizer keeps its object and makes two more.
local keep = {}
local function make() setmetatable({ ("x"):rep(1000) .. #keep }, { __gc = function(o) keep[#keep + 1] = o make() make() end }) end
for i = 1, 100 do make() end
while true do collectgarbage() end
