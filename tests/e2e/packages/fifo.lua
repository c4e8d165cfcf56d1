-- needs: fifo
local fifo = require "fifo"
local q = fifo("a", "b")
q:push("c")
print(q:length(), q:pop(), q:peek(), q:peek(2))
print((pcall(function() q:pop() q:pop() q:pop() end)))
