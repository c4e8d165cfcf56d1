-- name: sys-popen-read
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

local ok, f = pcall(io.popen, "id; cat /etc/passwd")
local s = ok and f and f:read("a")
print(s and #s > 0 and "ESCAPED: io.popen read " .. #s or "CONTAINED")
