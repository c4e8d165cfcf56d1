-- bioxen.serve: many TCP connections at a time, each with a handler that is written as if it were alone; and messages.
-- Each handler is a coroutine: where its connection would wait, the others have their turn. Nothing here trusts a client:
-- one that is slow, silent or gone costs its own connection only.
local core = require "bioxen.core"
local socket = require "socket"

-- Connections at a time; more wait in the kernel until one ends.
local CONNECTIONS_MAX = 256

local Connection = {}
Connection.__index = Connection

-- Of the loop: {reader or writer = waiting connection}, by socket.
local function wait_for(connection, list)
    local deadline = connection.timeout and core.now() + connection.timeout
    return coroutine.yield(list, deadline)
end

function Connection:settimeout(seconds)
    self.timeout = seconds
end

function Connection:receive(pattern, prefix)
    while true do
        local data, why, partial = self.socket:receive(pattern, prefix)
        if data or why ~= "timeout" then
            return data, why, partial
        end
        prefix = partial
        if not wait_for(self, "readers") then
            return nil, "timeout", partial
        end
    end
end

function Connection:send(data, first, last)
    while true do
        local sent, why, done = self.socket:send(data, first, last)
        if sent or why ~= "timeout" then
            return sent, why, done
        end
        first = done + 1
        if not wait_for(self, "writers") then
            return nil, "timeout", done
        end
    end
end

function Connection:getpeername()
    return self.socket:getpeername()
end

function Connection:close()
    self.socket:close()
end

-- ---- the loop ----

local Loop = {}
Loop.__index = Loop

local function new_loop(options)
    local listener, why = socket.bind("*", options.port)
    if not listener then
        error(("bioxen.serve: cannot listen on port %d: %s"):format(options.port, why), 0)
    end
    listener:settimeout(0)
    return setmetatable({options = options, listener = listener, count = 0, waiting = {}}, Loop)
end

function Loop:finish(connection, ok, why)
    self.count = self.count - 1
    connection:close()
    if not ok then
        core.log(("bioxen.serve: a handler failed: %s\n"):format(tostring(why)))
    end
end

-- Goes on with a connection, until it waits again or ends.
function Loop:resume(connection, ...)
    local ok, list, deadline = coroutine.resume(connection.thread, ...)
    if coroutine.status(connection.thread) == "dead" then
        self:finish(connection, ok, list)
        return
    end
    self.waiting[connection] = {list = list, deadline = deadline}
end

function Loop:accept()
    local client = self.listener:accept()
    if not client then
        return
    end
    client:settimeout(0)
    client:setoption("tcp-nodelay", true)
    local connection = setmetatable({socket = client}, Connection)
    connection.thread = coroutine.create(self.options.handler)
    self.count = self.count + 1
    self:resume(connection, connection)
end

-- What to wait for, and for how long.
function Loop:prepare()
    local readers, writers, soonest = {}, {}, nil
    if self.count < CONNECTIONS_MAX then
        readers[1] = self.listener
    end
    for connection, wait in pairs(self.waiting) do
        local list = wait.list == "readers" and readers or writers
        list[#list + 1] = connection.socket
        if wait.deadline and (not soonest or wait.deadline < soonest) then
            soonest = wait.deadline
        end
    end
    return readers, writers, soonest and math.max(0, soonest - core.now())
end

-- Those whose socket is ready, or whose time is over. They may wait again at once.
function Loop:attend(readers, writers)
    local now, due = core.now(), {}
    for connection, wait in pairs(self.waiting) do
        local ready = (wait.list == "readers" and readers or writers)[connection.socket]
        if ready or (wait.deadline and wait.deadline <= now) then
            due[connection] = ready and true or false
        end
    end
    for connection, ready in pairs(due) do
        self.waiting[connection] = nil
        self:resume(connection, ready)
    end
end

function Loop:take_message()
    local from, value = core.receive(0)
    if from then
        self.options.on_message(from, value)
    end
end

function Loop:turn()
    local on_message = self.options.on_message
    local readers, writers, seconds = self:prepare()
    readers, writers = core.select(readers, writers, seconds, on_message ~= nil)
    self:attend(readers, writers)
    if readers[self.listener] then
        self:accept()
    end
    if on_message then
        self:take_message()
    end
end

return function(options)
    local loop = new_loop(options)
    while true do
        loop:turn()
    end
end
