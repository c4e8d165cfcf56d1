-- name: cpu-close-endless-after-error
-- class: cpu
-- profile: restricted
-- expect: killed timeout

pcall(function()
  local x <close> = setmetatable({}, { __close = function() while true do end end })
  error("x")
end)
