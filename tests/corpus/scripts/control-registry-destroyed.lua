-- name: control-registry-destroyed
-- class: control-channel
-- profile: full
-- expect: ok DONE
-- accept: killed signal
-- accept: error .*
-- accept: killed limit

-- Everything in the registry but the main thread and the globals is taken out.
local r = debug.getregistry()
local keys = {}
for k in next, r do if k ~= 1 and k ~= 2 then keys[#keys + 1] = k end end
for _, k in ipairs(keys) do pcall(rawset, r, k, nil) end
print("DONE")
