-- name: mem-pack-size-absurd
-- class: memory
-- profile: restricted
-- expect: error .*
-- accept: killed oom

print(#string.pack("c2147483647", "x"))
