-- What networked calls of Python's package do in a VM: messages are the module bioxen's, ports are LuaSocket's. Each
-- answers with its result, or nil and why not. To require it opens the VM's mailbox.
local core = require "bioxen.core"
local socket = require "socket"

-- Where messages arrive.
local MAILBOX = 25208

-- "busy" instead of waiting on: when another request waits, but not before `least` seconds.
local roles = {peek = core.peek, receive = core.receive, send = core.send} -- (..., seconds, least)

local servers = {} -- by port: a port that is listened at is not to be collected

function roles.open()
    return true
end

function roles.listen(port)
    local server, why = socket.bind("*", port)
    if not server then
        return nil, why == "address already in use" and "in use" or why
    end
    servers[port] = server
    return true
end

local function try(address, port, seconds)
    local probe = assert(socket.tcp())
    probe:settimeout(seconds)
    local reached, why = probe:connect(address, port)
    probe:close()
    return reached, why == "connection refused" and "refused" or why
end

-- Does anybody take messages there, and, with a port, listen at it?
function roles.connect(host, port, seconds)
    local address = socket.dns.toip(host)
    if not address then
        return nil, "unknown host"
    end
    if port then
        local reached, why = try(address, port, seconds)
        if not reached then
            return nil, why
        end
    end
    local reached, why = try(address, MAILBOX, seconds)
    if not reached then
        return nil, why == "refused" and "no mailbox" or why
    end
    return true
end

return roles
