-- The same with messages.
local bioxen, socket = require "bioxen", require "socket"
local peer, times, count = ..., {}, 20000
local value = ("x"):rep(64)
for i = 1, count do
    local start = socket.gettime()
    bioxen.send(peer, value)
    bioxen.receive()
    times[i] = socket.gettime() - start
end
table.sort(times)
local start = socket.gettime()
for i = 1, count do
    bioxen.send(peer, i, 60)
end
bioxen.send(peer, "end")
repeat
    local _, answer = bioxen.receive()
until answer == "end"
print(("messages %.1f us, %.0f a second one way"):format(times[count // 2] * 1e6, count / (socket.gettime() - start)))
