-- name: fs-device-names
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal

local bad = {}
for _, p in ipairs{ "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/0", "/dev/fd/1", "/dev/fd/3", "/dev/tty", "/dev/pts/0", "/dev/ptmx", "/dev/zero", "/dev/random", "/dev/full", "/dev/shm/x", "/dev/mqueue/x", "/dev/hugepages/x" } do
  local f = io.open(p, "r+")
  if f then bad[#bad + 1] = p end
end
print(#bad > 0 and "ESCAPED: opened " .. table.concat(bad, " ") or "CONTAINED")
