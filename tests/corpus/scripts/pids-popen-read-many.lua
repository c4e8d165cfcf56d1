-- name: pids-popen-read-many
-- class: pids
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit
-- accept: killed timeout

local keep, n = {}, 0
for i = 1, 300 do
  local ok, f = pcall(io.popen, "echo alive; sleep 5")
  if not ok or not f then break end
  keep[i] = f
  if f:read("l") == "alive" then n = n + 1 end
end
print(n > 0 and "ESCAPED: " .. n .. " children ran" or "CONTAINED")
