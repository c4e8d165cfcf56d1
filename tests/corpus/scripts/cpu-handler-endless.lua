-- name: cpu-handler-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

xpcall(error, function() while true do end end, "x")
