-- name: esc-os-remains
-- class: lua-escape
-- profile: restricted
-- expect: denied

local fine = { clock = 1, date = 1, time = 1, difftime = 1, getenv = 1, exit = 1 }
local bad = {}
for k in pairs(os) do if not fine[k] then bad[#bad + 1] = k end end
print(#bad > 0 and "ESCAPED: os." .. table.concat(bad, " os.") or "CONTAINED")
