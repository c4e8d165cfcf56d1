-- name: esc-error-tostring-yields
-- class: lua-escape
-- profile: restricted
-- expect: error .*

error(setmetatable({}, { __tostring = function() coroutine.yield() end }))
