-- name: sys-loadlib-own-file
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

-- A shared library that the script wrote itself.
local f = io.open("/tmp/own.so", "wb")
if f then f:write("\127ELF\2\1\1", ("\0"):rep(9), "\3\0\62\0\1\0\0\0", ("\0"):rep(4096)) f:close() end
local ok, r, m = pcall(package.loadlib or error, "/tmp/own.so", "luaopen_own")
package.cpath = "/tmp/?.so"
local ok2, r2 = pcall(require, "own")
print((ok and r or ok2) and "ESCAPED: native code" or tostring(m):find("ELF", 1, true) and "ESCAPED: the dynamic loader looked at it" or "CONTAINED")
