-- peer.lua: says its arguments to all, prints what it hears, and leaves when everybody has said goodbye.
local bioxen = require "bioxen"

local others = bioxen.peers()
for _, line in ipairs {...} do
  bioxen.broadcast {kind = "line", text = line}
end
bioxen.broadcast {kind = "bye"}

local present = #others
while present > 0 do
  local from, message = bioxen.receive(30)
  if from == nil then
    error("nobody says anything any more, and " .. present .. " have not left")
  elseif message.kind == "line" then
    print(("%s hears %s: %s"):format(bioxen.name, from, message.text))
  elseif message.kind == "bye" then
    present = present - 1
  end
end
print(bioxen.name .. " leaves")
