-- name: mem-rep-separator
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: error resulting string too large

print(#("x"):rep(1 << 20, ("y"):rep(1 << 12)))
