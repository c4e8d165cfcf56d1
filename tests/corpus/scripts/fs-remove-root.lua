-- name: fs-remove-root
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/", "/app", "/tmp", "/proc", "/dev", ".", "..", "/tmp/..", "/app/.." } do
  if os.remove(p) then bad[#bad + 1] = p end
  if os.rename(p, "/tmp/moved") then bad[#bad + 1] = "rename " .. p end
  if os.rename("/tmp/none", p) then bad[#bad + 1] = "onto " .. p end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
