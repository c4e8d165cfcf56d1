-- name: cpu-gsub-callback-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

("x"):gsub("x", function() while true do end end)
