-- name: control-registry-walk
-- class: control-channel
-- profile: full
-- expect: denied
-- accept: killed signal
-- accept: killed limit

-- The registry holds whatever the host left there: files other than the standard ones, userdata with methods.
local seen, bad = {}, {}
local std = { [io.stdin] = true, [io.stdout] = true, [io.stderr] = true }
local function walk(v, path, depth)
  if seen[v] or depth > 6 then return end
  if type(v) == "table" then
    seen[v] = true
    for k, w in next, v do walk(k, path, depth + 1) walk(w, path .. "." .. tostring(k):sub(1, 20), depth + 1) end
  elseif type(v) == "userdata" then
    seen[v] = true
    if io.type(v) == "file" and not std[v] then bad[#bad + 1] = path end
  elseif type(v) == "function" then
    seen[v] = true
    for i = 1, 60 do local n, u = debug.getupvalue(v, i) if not n then break end if u ~= nil then walk(u, path .. "^" .. i, depth + 1) end end
  end
end
walk(debug.getregistry(), "registry", 0)
print(#bad > 0 and "ESCAPED: files in " .. table.concat(bad, " ") or "CONTAINED")
