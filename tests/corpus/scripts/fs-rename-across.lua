-- name: fs-rename-across
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local f = io.open("/tmp/mine", "w")
if f then f:write("x") f:close() end
local bad = {}
for _, p in ipairs{ "/mine", "/app/mine", "/app/../mine", "/proc/mine", "/dev/mine", "/etc/passwd" } do if os.rename("/tmp/mine", p) then bad[#bad + 1] = p end end
print(#bad > 0 and "ESCAPED: moved to " .. table.concat(bad, " ") or "CONTAINED")
