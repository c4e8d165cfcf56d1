-- name: cpu-handler-of-handler
-- class: cpu
-- profile: restricted
-- expect: killed timeout

while true do xpcall(error, function() error("again") end, "x") end
