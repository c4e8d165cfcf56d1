-- Prints the median round trip of 64 bytes in microseconds, and what goes one way in megabytes a second.
local socket = require "socket"
local host = ...

local function connect(first)
    local connection
    repeat
        connection = socket.connect(host, 7000)
    until connection
    connection:setoption("tcp-nodelay", true)
    connection:send(first .. "\n")
    return connection
end

local function median(count, action)
    local times = {}
    for i = 1, count do
        local start = socket.gettime()
        action(i)
        times[i] = socket.gettime() - start
    end
    table.sort(times)
    return times[count // 2] * 1e6
end

local connection, bytes = connect("echo"), ("x"):rep(64)
local trip = median(20000, function()
    connection:send(bytes)
    connection:receive(64)
end)
connection:close()

connection, bytes = connect("sink"), ("x"):rep(1024 * 1024)
local start = socket.gettime()
for _ = 1, 1000 do
    connection:send(bytes)
end
connection:shutdown("send")
connection:receive("*l")
local bulk = 1000 * #bytes / 1e6 / (socket.gettime() - start)
connection:close()
connect("end"):close()
print(("socket %.1f us, %.0f MB/s"):format(trip, bulk))
