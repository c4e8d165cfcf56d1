-- front.lua: one line in, one line out, for many callers at a time. The sandboxes take turns; a line that kills its sandbox,
-- or takes too long, is answered by an apology.
local bioxen = require "bioxen"
local socket = require "socket"

local PATIENCE = 3 -- seconds
local LINE_MAX = 4096

local sandboxes = bioxen.peers()
table.sort(sandboxes)
local turn, number = 0, 0
local callers, waiting = {}, {} -- sockets; number -> {caller, deadline}

local listener = assert(socket.bind("*", 8099))
listener:settimeout(0)
bioxen.ready()

local function drop(caller)
  for i, one in ipairs(callers) do
    if one == caller then
      table.remove(callers, i)
      break
    end
  end
  caller:close()
end

local function ask(caller, line)
  turn, number = turn % #sandboxes + 1, number + 1
  waiting[number] = {caller = caller, deadline = bioxen.now() + PATIENCE}
  bioxen.send(sandboxes[turn], {number = number, code = line})
end

local function answer(which, text)
  local work = waiting[which]
  waiting[which] = nil
  if work and not work.caller:send(text:gsub("\n", " ") .. "\n") then
    drop(work.caller)
  end
end

local function hear(caller)
  local line, why = caller:receive("*l")
  if line and #line <= LINE_MAX then
    ask(caller, line)
  elseif line then
    caller:send("sorry, that is too long\n")
  elseif why == "closed" then
    drop(caller)
  end
end

while true do
  local readable = socket.select({listener, table.unpack(callers)}, nil, 0.05)
  for _, ready in ipairs(readable) do
    local caller = ready == listener and listener:accept()
    if caller then
      caller:settimeout(0)
      callers[#callers + 1] = caller
    elseif ready ~= listener then
      hear(ready)
    end
  end
  local from, message = bioxen.receive(0)
  while from do
    if type(message) == "table" and type(message.text) == "string" then
      answer(message.number, message.text)
    end
    from, message = bioxen.receive(0)
  end
  for which, work in pairs(waiting) do
    if bioxen.now() > work.deadline then
      answer(which, "sorry, that took too long")
    end
  end
end
