-- name: cpu-utf8-codes
-- class: cpu
-- profile: restricted
-- expect: killed timeout

local s = ("\u{10FFFF}"):rep(1 << 22)
while true do for _ in utf8.codes(s) do end end
