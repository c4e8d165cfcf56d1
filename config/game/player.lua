-- player.lua: runs around, and counts how late the world's steps arrive.
local bioxen = require "bioxen"

math.randomseed(#bioxen.name, string.byte(bioxen.name, -1))
bioxen.send("world", {join = true})

local seen, last, gaps = 0, nil, 0
while true do
  local from, message = bioxen.receive(10)
  assert(from, "the world has stopped")
  if message.over then
    break
  end
  seen = seen + 1
  gaps = gaps + (last and message.step - last - 1 or 0)
  last = message.step
  if message.step % 10 == 0 then
    bioxen.send("world", {dx = math.random(-2, 2), dy = math.random(-2, 2)})
  end
end
print(("%s saw %d steps and missed %d"):format(bioxen.name, seen, gaps))
