-- name: mem-many-tmp-files
-- class: memory
-- profile: full
-- expect: denied
-- accept: killed oom
-- accept: killed limit

-- Many small files: the total must be bounded like one large file.
local total = 0
for i = 1, 4000 do
  local f = io.open("/tmp/f" .. i, "wb")
  if not f or not f:write(("x"):rep(1 << 17)) or not f:close() then break end
  total = total + (1 << 17)
end
print(total > 128 << 20 and "ESCAPED: " .. total .. " bytes in /tmp" or "CONTAINED")
