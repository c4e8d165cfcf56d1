-- name: esc-require-odd-arguments
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

-- Values that are not names, and metatables behind them.
local odd = setmetatable({}, { __tostring = function() return "x" end, __name = "string", __index = function() return error end })
for _, v in ipairs{ odd, 1, 1.5, true, print, coroutine.create(print), 0 / 0 } do pcall(require, v) pcall(require, "m", v) end
pcall(require)
pcall(require, nil)
print("DONE")
