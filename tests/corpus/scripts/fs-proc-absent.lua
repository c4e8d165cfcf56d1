-- name: fs-proc-absent
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/proc/self/status", "/proc/self/environ", "/proc/self/cmdline", "/proc/self/maps", "/proc/self/exe", "/proc/1/environ", "/proc/self/fd/3", "/proc/self/root/etc/passwd", "/proc/self/ns/net", "/proc/sys/kernel/core_pattern", "/proc/cgroups", "/proc/self/cgroup",
    "/proc/mounts", "/proc/net/tcp", "/proc/keys", "/proc/config.gz", "/proc/kcore", "/proc/interrupts" } do
  local f = io.open(p, "rb")
  if f and f:read(1) then bad[#bad + 1] = p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
