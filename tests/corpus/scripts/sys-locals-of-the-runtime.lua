-- name: sys-locals-of-the-runtime
-- class: control-channel
-- profile: full
-- expect: denied
-- accept: killed signal

-- Levels above the main chunk: nothing there that leads out.
local bad
for level = 1, 50 do
  local i = debug.getinfo(level, "f")
  if not i then break end
  for n = 1, 200 do
    local name, v = debug.getlocal(level, n)
    if not name then break end
    if io.type(v) and v ~= io.stdin and v ~= io.stdout and v ~= io.stderr then bad = name end
  end
end
print(bad and "ESCAPED: a file of the runtime: " .. bad or "CONTAINED")
