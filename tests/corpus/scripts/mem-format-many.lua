-- name: mem-format-many
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: error .*

print(#string.format(("%s"):rep(200), table.unpack((function() local t = {} for i = 1, 200 do t[i] = ("x"):rep(1 << 20) end return t end)())))
