-- name: cpu-error-tostring-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

-- The host asks the error value for its text.
error(setmetatable({}, { __tostring = function() while true do end end }))
