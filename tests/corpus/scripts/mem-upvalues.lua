-- name: mem-upvalues
-- class: memory
-- profile: restricted
-- expect: error not enough memory
-- accept: killed oom
-- accept: killed timeout

local t = {}
while true do
  local a, b, c = { t }, { t }, { t }
  t[#t + 1] = function() return a, b, c end
end
