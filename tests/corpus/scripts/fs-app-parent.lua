-- name: fs-app-parent
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal
-- needs: canary-file

local bad = {}
for _, p in ipairs{ "/app/../tmp/luavm-canary-secret", "/app/../../../tmp/luavm-canary-secret", "/app/..//etc/passwd", "/app/../etc/shadow", "/tmp/../etc/passwd", "//etc/passwd", "/./etc/passwd", "/app/tmp/../../etc/passwd" } do
  local f = io.open(p, "rb")
  if f and f:read(1) then bad[#bad + 1] = p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
