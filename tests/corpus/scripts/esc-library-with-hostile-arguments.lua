-- name: esc-library-with-hostile-arguments
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: killed timeout
-- accept: killed oom
-- accept: error .*

-- Every function of every library with every odd value, twice.
local odd = { math.mininteger, math.maxinteger, -1, 0, 0 / 0, 1 / 0, "", ("x"):rep(100000), "%", "%b", "[", "(", "\0", {}, setmetatable({}, { __index = error, __len = function() return 1 << 40 end }), print, false }
local skip = { exit = 1, wrap = 1, collectgarbage = 1, yield = 1, error = 1, warn = 1, print = 1, rep = 1, move = 1, concat = 1, insert = 1, remove = 1, unpack = 1, sort = 1 }
for _, lib in ipairs{ string, table, math, os, coroutine, utf8, _G } do
  local names = {}
  for k, f in pairs(lib) do if type(f) == "function" and not skip[k] then names[#names + 1] = k end end
  for _, k in ipairs(names) do for _, a in ipairs(odd) do for _, b in ipairs(odd) do pcall(lib[k], a, b, a) end end end
end
print("DONE")
