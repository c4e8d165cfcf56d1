-- name: esc-require-brings-back
-- class: lua-escape
-- profile: restricted
-- expect: denied

-- Names of the standard libraries, and of what an embedder might have left there.
local bad = {}
for _, n in ipairs{ "io", "debug", "package", "os", "_G", "ffi", "lfs", "posix", "socket", "socket.core", "bioxen.core", "native_probe.core", "loadlib" } do
  local ok, m = pcall(require or error, n)
  if ok and type(m) == "table" then
    for _, k in ipairs{ "popen", "open", "execute", "remove", "rename", "tmpname", "getregistry", "sethook", "loadlib", "searchpath", "dump", "dofile", "tcp" } do
      if m[k] then bad[#bad + 1] = n .. "." .. k end
    end
  end
end
print(#bad > 0 and "ESCAPED: " .. table.concat(bad, " ") or "CONTAINED")
