-- name: esc-debug-remains
-- class: lua-escape
-- profile: restricted
-- expect: denied

local bad = {}
for k in pairs(type(debug) == "table" and debug or {}) do if k ~= "traceback" then bad[#bad + 1] = k end end
print(#bad > 0 and "ESCAPED: debug." .. table.concat(bad, " debug.") or "CONTAINED")
