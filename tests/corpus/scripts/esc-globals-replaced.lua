-- name: esc-globals-replaced
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

print("DONE")
_G._G = nil
_ENV = setmetatable({}, { __index = function() while false do end end })
