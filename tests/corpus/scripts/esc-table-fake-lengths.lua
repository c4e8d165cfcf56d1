-- name: esc-table-fake-lengths
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

for _, n in ipairs{ -1, 0, math.maxinteger, math.mininteger, 1.5, "3", {}, 0 / 0 } do
  local t = setmetatable({}, { __len = function() return n end })
  pcall(table.insert, t, 1) pcall(table.remove, t) pcall(table.unpack, t, math.maxinteger - 1) pcall(table.concat, t, "", math.maxinteger - 1) pcall(ipairs, t)
end
pcall(table.move, {}, math.mininteger, math.maxinteger, 1) pcall(table.move, {}, 1, math.maxinteger, 2) pcall(table.unpack, {}, math.mininteger, math.maxinteger)
pcall(table.concat, {}, "", math.mininteger, math.mininteger + 1)
print("DONE")
