-- Solves sudokus by constraint propagation and search.
local peers, units = {}, {}
for r = 0, 8 do for c = 0, 8 do
  local cell = r * 9 + c + 1
  peers[cell] = {}
  local seen = { [cell] = true }
  local function add(o) if not seen[o] then seen[o] = true table.insert(peers[cell], o) end end
  for k = 0, 8 do add(r * 9 + k + 1) add(k * 9 + c + 1) add((r // 3 * 3 + k // 3) * 9 + c // 3 * 3 + k % 3 + 1) end
end end

local function bits(mask) local n = 0 while mask ~= 0 do mask = mask & (mask - 1) n = n + 1 end return n end

local assign
local function eliminate(grid, cell, bit)
  if grid[cell] & bit == 0 then return true end
  grid[cell] = grid[cell] & ~bit
  if grid[cell] == 0 then return false end
  if bits(grid[cell]) == 1 then
    for _, p in ipairs(peers[cell]) do if not eliminate(grid, p, grid[cell]) then return false end end
  end
  return true
end

function assign(grid, cell, bit)
  for d = 0, 8 do
    local other = 1 << d
    if other ~= bit and not eliminate(grid, cell, other) then return false end
  end
  return true
end

local steps = 0
local function search(grid)
  steps = steps + 1
  local best, least
  for cell = 1, 81 do
    local n = bits(grid[cell])
    if n > 1 and (not least or n < least) then best, least = cell, n end
  end
  if not best then return grid end
  for d = 0, 8 do
    local bit = 1 << d
    if grid[best] & bit ~= 0 then
      local copy = table.move(grid, 1, 81, 1, {})
      if assign(copy, best, bit) then
        local found = search(copy)
        if found then return found end
      end
    end
  end
end

local function solve(text)
  local grid = {}
  for i = 1, 81 do grid[i] = 0x1FF end
  for i = 1, 81 do
    local d = tonumber(text:sub(i, i))
    if d and d > 0 and not assign(grid, i, 1 << (d - 1)) then return "impossible" end
  end
  local found = search(grid)
  if not found then return "impossible" end
  local out = {}
  for i = 1, 81 do for d = 0, 8 do if found[i] == 1 << d then out[i] = d + 1 end end end
  return table.concat(out)
end

for _, puzzle in ipairs{
  "003020600900305001001806400008102900700000008006708200002609500800203009005010300",
  "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......",
  "11" .. ("."):rep(79), } do
  steps = 0
  print(solve(puzzle), steps)
end
