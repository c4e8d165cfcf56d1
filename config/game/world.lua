-- world.lua: the server's loop. Takes what has come, moves the world by one step, tells everybody, and waits for the rest
-- of the step's time.
local bioxen = require "bioxen"

local STEP = 1 / 20
local SIZE = 100
local steps = math.tointeger(tonumber(os.getenv("STEPS")))
local players = {}
local last_step = bioxen.now()

-- For the health check, which runs in this VM between two messages.
function loop_is_alive()
  return bioxen.now() - last_step < 20 * STEP
end

local function clamp(value)
  return math.max(0, math.min(SIZE, value))
end

local function take(from, message)
  if message.join then
    players[from] = {x = SIZE / 2, y = SIZE / 2, dx = 0, dy = 0}
    bioxen.log(from .. " has joined")
  elseif players[from] and math.type(message.dx) and math.type(message.dy) then
    players[from].dx, players[from].dy = message.dx, message.dy
  end
end

local function move()
  local state = {}
  for name, player in pairs(players) do
    player.x, player.y = clamp(player.x + player.dx), clamp(player.y + player.dy)
    state[name] = {player.x, player.y}
  end
  return state
end

bioxen.ready()
for step = 1, steps do
  local deadline = last_step + STEP
  repeat
    local from, message = bioxen.receive(math.max(0, deadline - bioxen.now()))
    if from ~= nil and type(message) == "table" then
      take(from, message)
    end
  until bioxen.now() >= deadline
  last_step = bioxen.now()
  bioxen.broadcast {step = step, players = move()}
end
bioxen.broadcast {over = true}

local names = {}
for name in pairs(players) do
  names[#names + 1] = name
end
table.sort(names)
print(("%d steps with %s"):format(steps, table.concat(names, ", ")))
