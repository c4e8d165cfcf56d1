-- name: fs-app-write
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/app/x", "/app/../app/x", "/app/./x", "app/x", "./x", "x" } do
  local f = io.open(p, "w")
  if f then f:close() os.remove(p) bad[#bad + 1] = p end
end
for _, m in ipairs{ "a", "r+", "w+", "a+", "wb" } do
  local f = io.open("/app/" .. (arg and arg[0] or "s"):match("[^/]*$"), m)
  if f then f:close() bad[#bad + 1] = m end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
