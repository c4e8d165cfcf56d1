-- name: esc-require-traversal
-- class: lua-escape
-- profile: restricted
-- expect: denied

local bad = {}
for _, n in ipairs{ "/etc/passwd", "../../../../etc/passwd", "..", ".", "", "/", "etc.passwd", ".etc.passwd", "..etc.passwd", "...etc.passwd", "\0", "x\0y", ("../"):rep(50) .. "etc/passwd",
    "proc.self.environ", "/proc/self/environ", "dev.stdin", "~", "%s%n", ("a."):rep(5000), ("/"):rep(5000), "a\nb", "a;b", "?", "$HOME" } do
  local ok, m = pcall(require or error, n)
  if ok then bad[#bad + 1] = ("%q"):format(n:sub(1, 20)) end
end
print(#bad > 0 and "ESCAPED: require of " .. table.concat(bad, " ") or "CONTAINED")
