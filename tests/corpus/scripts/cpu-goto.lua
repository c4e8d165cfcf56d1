-- name: cpu-goto
-- class: cpu
-- profile: restricted
-- expect: killed timeout

::again::
goto again
