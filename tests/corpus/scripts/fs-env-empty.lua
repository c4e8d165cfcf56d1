-- name: fs-env-empty
-- class: fs
-- profile: full
-- expect: denied
-- accept: killed signal
-- needs: canary-env

local bad = {}
for _, k in ipairs{ "LUAVM_CANARY", "PATH", "HOME", "PWD", "SHELL", "TERM", "LANG", "LC_ALL", "USER", "TMPDIR", "OLDPWD", "HOSTNAME", "SHLVL", "_", "BIOXEN_BUILD", "NO_COLOR", "PYTHONPATH" } do if os.getenv(k) then bad[#bad + 1] = k end end
print(#bad > 0 and "ESCAPED: environment " .. table.concat(bad, " ") or "CONTAINED")
