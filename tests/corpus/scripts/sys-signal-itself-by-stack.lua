-- name: sys-signal-itself-by-stack
-- class: syscall
-- profile: full
-- expect: ok DONE
-- accept: killed signal
-- accept: error .*
-- accept: killed oom

-- Deep C recursion by every way there is: an error or a crash of this VM, nothing else.
local function r(n) return (string.gsub("x", "x", function() return r(n + 1) end)) end
pcall(r, 1)
local function s(n) table.sort({ 1, 2 }, function() s(n + 1) end) end
pcall(s, 1)
local function l(n) return load(function() l(n + 1) end) end
pcall(l, 1)
local t = setmetatable({}, {})
getmetatable(t).__index = function(_, k) return t[k] end
pcall(function() return t.x end)
print("DONE")
