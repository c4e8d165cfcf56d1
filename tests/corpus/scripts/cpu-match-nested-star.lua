-- name: cpu-match-nested-star
-- class: cpu
-- profile: restricted
-- expect: killed timeout

print(("a"):rep(40000):match(("a*"):rep(30) .. "b"))
