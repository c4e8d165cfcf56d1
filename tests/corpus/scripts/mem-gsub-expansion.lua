-- name: mem-gsub-expansion
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom

print(#(("x"):rep(1 << 20):gsub("x", ("y"):rep(1 << 12))))
