-- name: info-host-name
-- class: kernel-info
-- profile: full
-- expect: denied
-- accept: killed signal

-- The name of the host must not be found anywhere.
local name, bad = "@HOSTNAME@", nil
if name:find("@", 1, true) or #name < 4 then print("CONTAINED") return end
for _, p in ipairs{ "/etc/hostname", "/proc/sys/kernel/hostname", "/etc/hosts", "/proc/self/environ" } do
  local f = io.open(p)
  if f and (f:read("a") or ""):find(name, 1, true) then bad = p end
end
for _, k in ipairs{ "HOSTNAME", "HOST" } do if os.getenv(k) == name then bad = k end end
print(bad and "ESCAPED: name of the host in " .. bad or "CONTAINED")
