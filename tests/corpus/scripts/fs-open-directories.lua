-- name: fs-open-directories
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/", "/app", "/tmp", "." } do
  local f = io.open(p, "r")
  local s = f and f:read("a")
  if s and #s > 0 then bad[#bad + 1] = p end
  if io.open(p, "w") then bad[#bad + 1] = "w " .. p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
