-- name: esc-error-value-coroutine
-- class: lua-escape
-- profile: restricted
-- expect: error .*

error(coroutine.create(print))
