-- name: cpu-next-endless
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local t = { 1 }
for k in function() return next(t) end do end
