-- name: esc-string-metatable
-- class: lua-escape
-- profile: restricted
-- expect: denied

-- The table behind every string must not be the script's to change.
local mt = getmetatable("")
if type(mt) ~= "table" then print("CONTAINED") return end
local ok = pcall(function() mt.__index = { upper = function() return "forged" end } end)
print(ok and ("x"):upper() == "forged" and "ESCAPED: methods of strings were replaced" or type(mt.__index) == "table" and "ESCAPED: the metatable of strings is open" or "CONTAINED")
