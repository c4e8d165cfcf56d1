-- name: esc-libraries-emptied
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

local keep, p, g = pairs, print, _G
for _, t in keep{ string, table, math, os, coroutine, utf8, debug } do for k in keep(t) do t[k] = nil end end
for k in keep(g) do g[k] = nil end
p("DONE")
