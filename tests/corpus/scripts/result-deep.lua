-- name: result-deep
-- class: output
-- profile: restricted
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

print("DONE")
local t = {}
for i = 1, 200000 do t = { t } end
return t
