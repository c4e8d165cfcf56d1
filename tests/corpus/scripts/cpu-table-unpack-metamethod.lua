-- name: cpu-table-unpack-metamethod
-- class: cpu
-- profile: restricted
-- expect: killed timeout

table.unpack(setmetatable({}, { __index = function() while true do end end }), 1, 2)
