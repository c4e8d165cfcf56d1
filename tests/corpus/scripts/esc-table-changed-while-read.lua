-- name: esc-table-changed-while-read
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: error .*

local t = {}
for i = 1, 1000 do t["k" .. i] = i end
pcall(function() for k in pairs(t) do t[k] = nil for i = 1, 50 do t["n" .. k .. i] = i end collectgarbage("step") if next(t) == nil then break end if #k > 200 then break end end end)
local s = {}
for i = 1, 500 do s[i] = i end
pcall(table.sort, s, function(a, b) for i = 1, 3 do s[math.random(500)] = nil end collectgarbage("step") return (a or 0) < (b or 0) end)
print("DONE")
