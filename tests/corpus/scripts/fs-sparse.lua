-- name: fs-sparse
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit
-- accept: killed oom

local f = io.open("/tmp/sparse", "wb")
if not f then print("CONTAINED") return end
f:seek("set", 1 << 30)
local ok = f:write("x") and f:flush()
f:seek("set", 1 << 50)
local ok2 = f:write("x") and f:flush()
print(ok2 and "ESCAPED: a file of a pebibyte" or "CONTAINED")
