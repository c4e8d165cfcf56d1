-- name: fs-mark-in-tmp
-- class: peer-vm
-- profile: full
-- expect: denied
-- accept: killed signal
-- needs: twice

-- Marks in every place that could be shared.
local bad = {}
for _, p in ipairs{ "/tmp/m", "/var/tmp/m", "/dev/shm/m", "/run/m", "/app/m", "/m", "/run/lock/m", "/run/user/0/m" } do
  if io.open(p, "r") then bad[#bad + 1] = p end
  local f = io.open(p, "w")
  if f then f:write("x") f:close() end
end
print(#bad > 0 and "ESCAPED: a mark in " .. table.concat(bad, " ") or "CONTAINED")
