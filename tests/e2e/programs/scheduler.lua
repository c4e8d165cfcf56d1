-- An operating system in small, in the manner of the Richards benchmark: tasks, queues, priorities, coroutines.
local Task = {}
Task.__index = Task
local queue, log, held, switches = {}, {}, 0, 0

local function spawn(name, priority, body)
  local t = setmetatable({ name = name, priority = priority, inbox = {}, waiting = false, thread = coroutine.create(body) }, Task)
  queue[#queue + 1] = t
  table.sort(queue, function(a, b) if a.priority ~= b.priority then return a.priority > b.priority end return a.name < b.name end)
  return t
end
function Task:send(message)
  self.inbox[#self.inbox + 1] = message
  self.waiting = false
end
function Task:receive()
  while #self.inbox == 0 do
    self.waiting = true
    held = held + 1
    coroutine.yield()
  end
  return table.remove(self.inbox, 1)
end

local devices, handlers, worker = {}, {}, nil
for d = 1, 3 do
  devices[d] = spawn("device" .. d, 40 + d, function(self)
    while true do
      local m = self:receive()
      m.stamp = (m.stamp * 31 + d) % 65521
      m.owner:send(m)
    end
  end)
end
for h = 1, 4 do
  handlers[h] = spawn("handler" .. h, 20 + h, function(self)
    local done = 0
    while true do
      local m = self:receive()
      if m.kind == "work" then
        m.kind, m.owner, m.stamp = "device", self, #m.data
        devices[(m.id + h) % 3 + 1]:send(m)
      else
        done = done + 1
        log[h] = ((log[h] or 0) * 17 + m.stamp + m.id) % 1000003
        worker:send{ kind = "ack", from = self }
      end
    end
  end)
end
worker = spawn("worker", 10, function(self)
  local seed = 7
  for id = 1, 3000 do
    seed = (seed * 16807) % 2147483647
    handlers[seed % 4 + 1]:send{ kind = "work", id = id, data = ("d"):rep(seed % 13) }
    self:receive()
  end
end)

while coroutine.status(worker.thread) ~= "dead" do
  for _, t in ipairs(queue) do
    if not t.waiting and coroutine.status(t.thread) == "suspended" then
      switches = switches + 1
      assert(coroutine.resume(t.thread, t))
      break
    end
  end
end
print(switches, held)
for h = 1, 4 do print("handler", h, log[h]) end
