-- name: fs-env-empty-restricted
-- class: fs
-- profile: restricted
-- expect: denied
-- needs: canary-env

local bad = {}
for _, k in ipairs{ "LUAVM_CANARY", "PATH", "HOME", "PWD", "LANG", "TMPDIR", "USER" } do if os.getenv and os.getenv(k) then bad[#bad + 1] = k end end
print(#bad > 0 and "ESCAPED: environment " .. table.concat(bad, " ") or "CONTAINED")
