-- name: out-flood-error-pieces
-- class: output
-- profile: restricted
-- expect: error .*
-- accept: killed limit
-- accept: killed oom

-- A message made long by a metamethod at the last moment.
error(setmetatable({}, { __tostring = function() return ("line\n"):rep(1 << 20) end }))
