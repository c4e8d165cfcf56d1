-- name: cpu-call-metamethod-chain
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: error .*

local m = {}
m.__call = function(self) return self() end
setmetatable(m, m)
m()
