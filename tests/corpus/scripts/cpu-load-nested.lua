-- name: cpu-load-nested
-- class: cpu
-- profile: restricted
-- expect: killed timeout
-- accept: killed oom

while true do load("return " .. ("{"):rep(150) .. ("}"):rep(150)) end
