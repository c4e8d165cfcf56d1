-- name: cpu-pcall-of-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

while true do pcall(function() while true do end end) end
