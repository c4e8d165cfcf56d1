-- name: esc-pattern-hostile
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: killed timeout

for _, p in ipairs{ "%", "[", "[%", "[]", "[^]", "[a-", "%b", "%bx", "%f", "%f[", "(", ")", "(()", "%1", "(%1)", "%0", ("("):rep(33), ("(.)"):rep(32) .. "%32", ("%b()"):rep(1000), "\0", "%z", "[\0-\255]", "[%a-z]", "^*", "$*", "*", "+", "a**", "[%]" } do
  for _, f in ipairs{ string.find, string.match, string.gsub } do pcall(f, "some (text) here\0x", p, "%1") pcall(f, "", p, "%9") pcall(f, "x", p, function() return {} end) end
  pcall(function() for _ in ("x"):gmatch(p) do end end)
end
pcall(string.find, ("a"):rep(250000), ("a?"):rep(250000))
pcall(string.find, ("("):rep(250000), ("%b()"):rep(250))
print("DONE")
