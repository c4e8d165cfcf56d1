-- name: cpu-date-loop
-- class: cpu
-- profile: restricted
-- expect: killed timeout

while true do pcall(os.date, "%c", math.random(1 << 40)) pcall(os.time, { year = 2000 + math.random(100), month = 1 << 20, day = 1 }) end
