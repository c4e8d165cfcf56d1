-- name: esc-format-hostile
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

for _, f in ipairs{ "%", "%99999d", "%.99999f", "%n", "%*d", "%-+ #0d", "%s%s%s", "%q", "%a", "%i", "%c%c%c", "%5.5.5d", "%" .. ("0"):rep(1000) .. "d", "%\0d", "%p" } do
  for _, v in ipairs{ 1, 1.5, "x", 0 / 0, math.mininteger } do pcall(string.format, f, v) pcall(string.format, f) end
end
pcall(string.format, "%q", {})
pcall(string.format, "%s", setmetatable({}, { __tostring = function() return nil end }))
print(string.format("%q", 1 / 0), string.format("%q", math.mininteger))
print("DONE")
