-- The Mandelbrot set as text, and a checksum of a finer one.
local function escape(cr, ci, limit)
  local r, i = 0.0, 0.0
  for n = 1, limit do
    r, i = r * r - i * i + cr, 2 * r * i + ci
    if r * r + i * i > 4 then return n end
  end
  return 0
end

local shades = " .:-=+*#%@"
for y = -12, 12 do
  local line = {}
  for x = -40, 20 do
    local n = escape(x / 20, y / 10, 60) % #shades
    line[#line + 1] = shades:sub(n + 1, n + 1)
  end
  print((table.concat(line):gsub("%s+$", "")))
end
local sum = 0
for y = -60, 60 do for x = -120, 60 do sum = (sum * 31 + escape(x / 60, y / 50, 100)) % 1000000007 end end
print(sum)
