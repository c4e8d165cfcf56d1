-- name: info-kernel-version
-- class: kernel-info
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/proc/version", "/proc/cpuinfo", "/proc/cmdline", "/proc/uptime", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id", "/etc/machine-id", "/etc/hostname", "/etc/os-release", "/etc/hosts", "/etc/resolv.conf",
    "/sys/devices/system/cpu/online", "/sys/class/dmi/id/product_uuid", "/proc/filesystems", "/proc/partitions", "/var/log/syslog", "/etc/localtime" } do
  local f = io.open(p, "rb")
  if f and f:read(1) then bad[#bad + 1] = p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
