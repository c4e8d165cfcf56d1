-- name: cpu-collectgarbage-modes
-- class: cpu
-- profile: restricted
-- expect: killed timeout

-- Switches the collector's mode for ever, with garbage of every kind.
local t = {}
while true do
  for i = 1, 1000 do t[i] = setmetatable({ t }, { __mode = "k", __gc = function() end }) end
  pcall(collectgarbage, "generational")
  pcall(collectgarbage, "incremental", 1, 1000, 1)
end
