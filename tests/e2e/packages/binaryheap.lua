-- needs: binaryheap
local heap = require "binaryheap"
local h = heap.minUnique(function(a, b) return a < b end)
for i = 1, 100 do h:insert((i * 7919) % 101, "n" .. i) end
h:update("n5", -1)
h:remove("n7")
local out = {}
while h:peek() do out[#out + 1] = h:pop() end
print(table.concat(out, " "))
