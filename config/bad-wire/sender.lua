-- sender.lua: stop and wait. One datagram is under way at a time, and is repeated until its number comes back.
local socket = require "socket"

local messages = math.tointeger(tonumber(os.getenv("MESSAGES")))
local wire = assert(socket.udp())
assert(wire:setpeername("receiver", 9000))
wire:settimeout(0.1)

local sent = 0
local function deliver(text)
  local number = text:match("^%d+")
  for _ = 1, 200 do
    wire:send(text)
    sent = sent + 1
    local answer = wire:receive()
    if answer == number then
      return
    end
  end
  error("no answer to datagram " .. number)
end

for i = 1, messages do
  deliver(("%d message %d"):format(i, i * i))
end
deliver(("%d end"):format(messages + 1))
print(("%d datagrams for %d messages"):format(sent, messages + 1))
