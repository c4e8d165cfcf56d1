-- name: esc-gmatch-position
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

for _, n in ipairs{ math.mininteger, -1 << 40, -1, 0, 1, 2, 100, 1 << 40, math.maxinteger } do
  local c = 0
  for _ in ("abc"):gmatch("", n) do c = c + 1 if c > 10 then break end end
  pcall(string.find, "abc", "b", n, true) pcall(string.sub, "abc", n, -n) pcall(string.byte, "abc", n, n) pcall(utf8.offset, "abc", n, n) pcall(utf8.codepoint, "abc", n, n) pcall(utf8.len, "abc", n, n)
end
print("DONE")
