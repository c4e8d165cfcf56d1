-- dispatcher.lua: who is idle gets the next job; a job that nobody finishes in time is given away again.
local bioxen = require "bioxen"

local count = math.tointeger(tonumber((...)))
local patience = 10 -- seconds

local waiting, running, done, sum = {}, {}, 0, 0
for job = count, 1, -1 do
  waiting[#waiting + 1] = job
end

local function take_back()
  for worker, work in pairs(running) do
    if bioxen.now() - work.since > patience then
      bioxen.log("job " .. work.job .. " is taken back from " .. worker)
      waiting[#waiting + 1] = work.job
      running[worker] = nil
    end
  end
end

local finished = {}
bioxen.ready()
while done < count do
  local from, message = bioxen.receive(1)
  take_back()
  if message ~= nil and message.job ~= nil and not finished[message.job] then
    finished[message.job] = true
    done, sum = done + 1, sum + message.result
  end
  if from ~= nil then
    running[from] = nil
    local job = table.remove(waiting)
    if job ~= nil then
      running[from] = {job = job, since = bioxen.now()}
      bioxen.send(from, {job = job})
    else
      bioxen.send(from, {rest = 0.2})
    end
  end
end
print(("%d jobs are done: %d primes"):format(done, sum))
bioxen.broadcast {stop = true}
