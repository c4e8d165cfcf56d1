-- name: cpu-close-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

do local x <close> = setmetatable({}, { __close = function() while true do end end }) end
