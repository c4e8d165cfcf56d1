-- name: fs-descriptors
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit
-- accept: killed oom

local t = {}
for i = 1, 20000 do
  local f = io.open("/tmp/one", "a")
  if not f then break end
  t[i] = f
end
print(#t >= 4096 and "ESCAPED: " .. #t .. " descriptors" or "CONTAINED")
