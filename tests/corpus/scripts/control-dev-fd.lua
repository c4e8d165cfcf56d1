-- name: control-dev-fd
-- class: control-channel
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit

local bad = {}
for fd = 0, 40 do
  for _, d in ipairs{ "/dev/fd/", "/proc/self/fd/", "/proc/1/fd/", "/proc/thread-self/fd/" } do
    for _, m in ipairs{ "rb", "wb", "r+b", "ab" } do if io.open(d .. fd, m) then bad[#bad + 1] = d .. fd .. " " .. m end end
  end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, ", ", 1, math.min(5, #bad)) or "CONTAINED")
