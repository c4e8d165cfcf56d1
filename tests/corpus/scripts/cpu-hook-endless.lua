-- name: cpu-hook-endless
-- class: cpu
-- profile: full
-- expect: killed timeout

debug.sethook(function() while true do end end, "crl", 1)
print("x")
