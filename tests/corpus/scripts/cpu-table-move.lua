-- name: cpu-table-move
-- class: cpu
-- profile: restricted
-- expect: killed timeout

table.move({}, 1, math.maxinteger - 1, 2)
