-- name: fs-cgroup-absent
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/bpf/x", "/sys/kernel/security/x", "/sys/class/net/lo/address" } do
  if io.open(p, "rb") or io.open(p, "ab") then bad[#bad + 1] = p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
