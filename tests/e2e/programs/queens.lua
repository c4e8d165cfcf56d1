-- All solutions of the n-queens puzzle, by bits and by tables.
local function bits(n)
  local all, count = (1 << n) - 1, 0
  local function place(columns, left, right)
    if columns == all then count = count + 1 return end
    local free = all & ~(columns | left | right)
    while free ~= 0 do
      local bit = free & -free
      free = free - bit
      place(columns | bit, (left | bit) << 1, (right | bit) >> 1)
    end
  end
  place(0, 0, 0)
  return count
end

local function first(n)
  local row, columns, up, down = {}, {}, {}, {}
  local function place(r)
    if r > n then return true end
    for c = 1, n do
      if not (columns[c] or up[r + c] or down[r - c]) then
        row[r], columns[c], up[r + c], down[r - c] = c, true, true, true
        if place(r + 1) then return true end
        columns[c], up[r + c], down[r - c] = nil, nil, nil
      end
    end
  end
  return place(1) and table.concat(row, " ") or "none"
end

for n = 1, 9 do print(n, bits(n), first(n)) end
