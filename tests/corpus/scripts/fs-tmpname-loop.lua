-- name: fs-tmpname-loop
-- class: fs
-- profile: full
-- expect: ok DONE
-- accept: killed signal
-- accept: killed limit
-- accept: error .*

for i = 1, 6000 do pcall(os.tmpname) end
print("DONE")
