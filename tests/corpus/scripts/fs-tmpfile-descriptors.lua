-- name: fs-tmpfile-descriptors
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit
-- accept: killed oom

local t = {}
for i = 1, 20000 do
  local ok, f = pcall(io.tmpfile)
  if not ok or not f then break end
  t[i] = f
end
print(#t >= 4096 and "ESCAPED: " .. #t .. " temporary files" or "CONTAINED")
