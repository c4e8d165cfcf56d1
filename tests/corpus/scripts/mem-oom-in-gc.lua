-- name: mem-oom-in-gc
-- class: memory
-- profile: restricted
-- expect: ok DONE
-- accept: killed oom
-- accept: killed timeout
-- accept: error .*

for i = 1, 10 do setmetatable({}, { __gc = function() local t = {} while true do t = { t } end end }) end
collectgarbage()
collectgarbage()
print("DONE")
