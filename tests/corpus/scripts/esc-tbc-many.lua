-- name: esc-tbc-many
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: error .*

-- Thousands of pending to-be-closed variables, each raising, across coroutines.
local function nest(n) if n == 0 then error("bottom") end local x <close> = setmetatable({}, { __close = function(_, e) error((e or "") .. "x", 0) end }) return (nest(n - 1)) end
local ok, e = pcall(nest, 150)
local co = coroutine.create(function() nest(150) end)
coroutine.resume(co)
coroutine.close(co)
print("DONE")
