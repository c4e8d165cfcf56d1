-- name: control-metatables-of-types
-- class: control-channel
-- profile: full
-- expect: ok DONE
-- accept: error .*
-- accept: killed signal

for _, v in ipairs{ 1, true, print, coroutine.create(print) } do debug.setmetatable(v, { __index = error, __call = error, __tostring = function() return {} end, __gc = error, __name = 7 }) end
debug.setmetatable(nil, { __index = function() return nil end, __call = function() end })
debug.setmetatable("", { __index = error })
io.stdout:write("DONE\n")
