-- table.sort with and without a comparison function.
local seed = 42
local function random() seed = (seed * 1103515245 + 12345) % 2147483648 return seed end
local plain, compared = {}, {}
for i = 1, 150000 do plain[i] = random() compared[i] = random() end
table.sort(plain)
table.sort(compared, function(x, y) return x > y end)
print(plain[1], plain[#plain], compared[1], compared[#compared])
