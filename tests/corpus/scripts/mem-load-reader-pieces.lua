-- name: mem-load-reader-pieces
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout
-- accept: ok nil.*

-- One token that never ends, in pieces.
local n = 0
print(load(function() n = n + 1 return n == 1 and "x='" or ("y"):rep(1 << 16) end))
