-- name: esc-setmetatable-protected
-- class: lua-escape
-- profile: restricted
-- expect: denied

local t = setmetatable({}, { __metatable = false })
print(pcall(setmetatable, t, {}) and "ESCAPED: protected metatable replaced" or "CONTAINED")
