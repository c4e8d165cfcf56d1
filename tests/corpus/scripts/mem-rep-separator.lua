-- name: mem-rep-separator
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom

print(#("x"):rep(1 << 20, ("y"):rep(1 << 12)))
