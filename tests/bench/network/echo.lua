-- Serves one connection after the other: what comes is sent back, or with "sink" as the first line taken in.
local socket = require "socket"
local server = assert(socket.bind("*", 7000))
while true do
    local connection = assert(server:accept())
    connection:setoption("tcp-nodelay", true)
    local first = connection:receive("*l")
    if first == "sink" then
        while connection:receive(1024 * 1024) do
        end
        connection:send("done\n")
    elseif first == "end" then
        return
    else
        repeat
            local bytes = connection:receive(64)
        until not bytes or not connection:send(bytes)
    end
    connection:close()
end
