-- Strings: building, searching, replacing, garbage.
local parts = {}
for i = 1, 300000 do parts[#parts + 1] = ("%d:%x"):format(i, i * 7) end
local text = table.concat(parts, ",")
local count = 0
for word in text:gmatch("%x+:") do count = count + #word end
print(#text, count, #text:gsub("%d", "#"), text:upper():sub(-12))
