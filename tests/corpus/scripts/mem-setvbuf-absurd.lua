-- name: mem-setvbuf-absurd
-- class: memory
-- profile: full
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

-- A buffer size that wraps.
for _, n in ipairs{ 1 << 62, -1, math.maxinteger, math.mininteger, 1 << 40 } do pcall(io.stdout.setvbuf, io.stdout, "full", n) end
print("DONE")
