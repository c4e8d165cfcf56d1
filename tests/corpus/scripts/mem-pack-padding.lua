-- name: mem-pack-padding
-- class: memory
-- profile: restricted
-- expect: error .*
-- accept: killed oom

print(#string.pack("!16 " .. ("c100000000"):rep(4), "", "", "", ""))
