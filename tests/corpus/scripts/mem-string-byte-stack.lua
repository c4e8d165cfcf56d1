-- name: mem-string-byte-stack
-- class: memory
-- profile: restricted
-- expect: error string slice too long
-- accept: killed oom
-- accept: error .*

print(select("#", ("x"):rep(1 << 24):byte(1, -1)))
