-- name: sys-loadlib-every-symbol
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, s in ipairs{ "system", "execve", "fork", "mmap", "mprotect", "dlopen", "luaopen_os", "luaL_openlibs", "lua_close", "syscall", "ptrace", "socket", "*" } do
  for _, l in ipairs{ "libc.so.6", "", "/proc/self/exe", "libdl.so.2", "ld-linux-x86-64.so.2", "linux-vdso.so.1" } do
    local ok, f = pcall(package.loadlib or error, l, s)
    if ok and f then bad[#bad + 1] = l .. ":" .. s end
  end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
