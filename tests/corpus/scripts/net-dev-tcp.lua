-- name: net-dev-tcp
-- class: net
-- profile: full
-- expect: denied
-- accept: killed signal

-- The shell's names for sockets are no files.
local bad
for _, p in ipairs{ "/dev/tcp/127.0.0.1/47011", "/dev/udp/127.0.0.1/47011", "/net/tcp/clone", "/proc/net/tcp" } do if io.open(p, "r") then bad = p end end
local ok, f = pcall(io.popen, "exec 3<>/dev/tcp/127.0.0.1/47011 && cat <&3")
if ok and f and (f:read("a") or ""):find("luavm", 1, true) then bad = "popen" end
print(bad and "ESCAPED: " .. bad or "CONTAINED")
