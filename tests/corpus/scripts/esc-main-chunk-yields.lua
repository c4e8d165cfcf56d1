-- name: esc-main-chunk-yields
-- class: lua-escape
-- profile: restricted
-- expect: error .*
-- accept: ok .*

coroutine.yield(1, 2, 3)
