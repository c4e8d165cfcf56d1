-- name: cpu-table-insert-fake-length
-- class: cpu
-- profile: restricted
-- expect: killed timeout

table.insert(setmetatable({}, { __len = function() return 1 << 53 end }), 1, 1)
