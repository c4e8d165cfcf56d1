-- name: control-registry-fully-destroyed
-- class: control-channel
-- profile: full
-- expect: ok DONE
-- accept: killed signal
-- accept: error .*
-- accept: killed limit

print("DONE")
io.stdout:flush()
local r = debug.getregistry()
for k in next, r do r[k] = nil end
collectgarbage()
