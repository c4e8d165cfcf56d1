-- name: pids-execute-many
-- class: pids
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit
-- accept: killed timeout

local n = 0
for i = 1, 300 do if os.execute("sleep 5 &") then n = n + 1 end end
print(n > 0 and "ESCAPED: " .. n .. " shells" or "CONTAINED")
