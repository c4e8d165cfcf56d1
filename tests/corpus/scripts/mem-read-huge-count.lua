-- name: mem-read-huge-count
-- class: memory
-- profile: full
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

for _, n in ipairs{ 1 << 62, math.maxinteger, 1 << 40, 1 << 33 } do pcall(io.read, n) end
print("DONE")
