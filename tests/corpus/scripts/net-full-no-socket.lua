-- name: net-full-no-socket
-- class: net
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, n in ipairs{ "socket", "socket.core", "socket.unix", "mime", "mime.core", "ssl", "posix.sys.socket" } do if pcall(require, n) then bad[#bad + 1] = n end end
print(#bad > 0 and "ESCAPED: without a network there is " .. table.concat(bad, " ") or "CONTAINED")
