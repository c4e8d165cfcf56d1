-- name: esc-error-while-error
-- class: lua-escape
-- profile: restricted
-- expect: error .*

error(setmetatable({}, { __tostring = function() error("in __tostring") end }))
