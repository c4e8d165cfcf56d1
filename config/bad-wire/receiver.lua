-- receiver.lua: takes each number once, acknowledges everything that it knows, and checks what it got.
local bioxen = require "bioxen"
local socket = require "socket"

local messages = math.tointeger(tonumber(os.getenv("MESSAGES")))
local wire = assert(socket.udp())
assert(wire:setsockname("*", 9000))
wire:settimeout(30)
bioxen.ready()

local expected, repeated = 1, 0
while expected <= messages + 1 do
  local text, host, port = wire:receivefrom()
  assert(text, "the line is dead")
  local number = math.tointeger(tonumber(text:match("^%d+")))
  if number == expected then
    assert(text:match("end$") or text == ("%d message %d"):format(number, number * number), "a damaged message: " .. text)
    expected = expected + 1
  else
    repeated = repeated + 1
  end
  if number < expected then
    wire:sendto(tostring(number), host, port)
  end
end
-- The last acknowledgement may be lost: answer repetitions for a while.
wire:settimeout(1)
local text, host, port = wire:receivefrom()
while text do
  wire:sendto(text:match("^%d+"), host, port)
  text, host, port = wire:receivefrom()
end
print(("%d messages in order, %d repetitions"):format(messages, repeated))
