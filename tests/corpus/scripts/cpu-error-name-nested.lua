-- name: cpu-error-name-nested
-- class: cpu
-- profile: restricted
-- expect: error .*
-- accept: killed timeout

error(setmetatable({}, { __name = setmetatable({}, { __tostring = error }) }))
