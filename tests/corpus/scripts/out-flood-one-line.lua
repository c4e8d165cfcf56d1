-- name: out-flood-one-line
-- class: output
-- profile: restricted
-- expect: killed limit
-- accept: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local s = ("x"):rep(16 << 20)
while true do print(s, s) end
