-- name: control-require-replaced
-- class: control-channel
-- profile: restricted
-- expect: ok DONE

-- Functions that the runtime's require may use are replaced while it runs.
local real = require
for _, lib in ipairs{ string, table, coroutine, os } do for k in pairs(lib) do lib[k] = function() error("trap") end end end
load, pcall0, setmetatable, type, select, error0 = nil, pcall, nil, nil, nil, error
print(pcall0(real, "nothing"))
print("DONE")
