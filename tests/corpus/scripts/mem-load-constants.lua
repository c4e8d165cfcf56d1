-- name: mem-load-constants
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local p = {}
for i = 1, 2000000 do p[i] = ("'%d'"):format(i) end
print(load("return {" .. table.concat(p, ",") .. "}"))
