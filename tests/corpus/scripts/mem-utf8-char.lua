-- name: mem-utf8-char
-- class: memory
-- profile: restricted
-- expect: killed timeout
-- accept: error .*
-- accept: killed oom

local t = {}
for i = 1, 100000 do t[i] = 0x7FFFFFFF end
local k = {}
while true do k[#k + 1] = utf8.char(table.unpack(t, 1, 200)):rep(1000) .. #k end
