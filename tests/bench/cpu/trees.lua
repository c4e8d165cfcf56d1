-- Allocation: binary trees made and dropped.
local function make(depth)
  if depth == 0 then return {} end
  return {make(depth - 1), make(depth - 1)}
end
local function count(tree) return tree[1] and 1 + count(tree[1]) + count(tree[2]) or 1 end
local total = 0
for _ = 1, 20 do total = total + count(make(13)) end
print(total)
