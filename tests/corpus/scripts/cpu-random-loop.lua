-- name: cpu-random-loop
-- class: cpu
-- profile: restricted
-- expect: killed timeout

while true do math.random(math.mininteger, math.maxinteger) math.randomseed(os.time()) end
