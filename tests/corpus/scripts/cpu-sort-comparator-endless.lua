-- name: cpu-sort-comparator-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

table.sort({ 3, 1, 2 }, function() while true do end end)
