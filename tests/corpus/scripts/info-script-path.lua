-- name: info-script-path
-- class: kernel-info
-- profile: full
-- expect: denied
-- accept: killed signal

-- Paths of the host in tracebacks and in debug information, beyond the name that the caller typed.
local bad
for level = 1, 20 do
  local i = debug.getinfo(level, "S")
  if not i then break end
  if i.source:find("/home/", 1, true) or i.source:find("/root/", 1, true) or i.source:find("/src/", 1, true) or i.source:find("build/", 1, true) then bad = i.source end
end
for k, v in pairs(package.loaded) do
  for n, f in pairs(type(v) == "table" and v or {}) do
    local i = type(f) == "function" and debug.getinfo(f, "S")
    if i and i.what ~= "C" and (i.source:find("/home/", 1, true) or i.source:find("/src/", 1, true)) then bad = i.source end
  end
end
print(bad and "ESCAPED: " .. bad or "CONTAINED")
