-- The module `bioxen`: messages between VMs, and what a VM knows of itself. docs/lua.md describes it.
-- What a script hands over is checked here; what can go wrong outside of it is an error with a reason.
local core = require "bioxen.core"

local bioxen = {name = core.name, args = core.args}

-- Seconds that send waits for room, unless it is told otherwise.
local SEND_TIMEOUT = 10

local function check(function_name, index, value, wanted)
    if type(value) ~= wanted then
        local got = value == nil and "no value" or type(value)
        error(("bad argument #%d to '%s' (%s expected, got %s)"):format(index, function_name, wanted, got), 3)
    end
end

local function check_seconds(function_name, index, seconds)
    if seconds == nil then
        return
    end
    if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
        error(("bad argument #%d to '%s' (seconds expected: a number, not negative)"):format(index, function_name), 3)
    end
end

local function check_network(function_name)
    if not core.networked then
        error(("bioxen.%s: this VM has no network (run it with --network fabric, or in a topology)"):format(
            function_name), 3)
    end
end

local function why_not(peer, kind, detail)
    if kind == "unknown host" then
        return ("cannot send to '%s': there is no such peer"):format(peer)
    elseif kind == "away" then
        return ("cannot send to '%s': it has been away for too long (%s); %d messages wait for it"):format(
            peer, detail, core.pending(peer))
    end
    return ("cannot send to '%s': %d messages wait for it already (%s)"):format(peer, core.pending(peer), detail)
end

function bioxen.send(peer, value, seconds)
    check("send", 1, peer, "string")
    check_seconds("send", 3, seconds)
    check_network("send")
    local sent, kind, detail = core.send(peer, value, seconds or SEND_TIMEOUT)
    if not sent then
        error(why_not(peer, kind, detail), 2)
    end
end

function bioxen.receive(seconds)
    check_seconds("receive", 1, seconds)
    check_network("receive")
    return core.receive(seconds)
end

function bioxen.peers()
    if not core.networked then
        return {}
    end
    return core.peers()
end

-- A peer that is on several ports is one receiver.
local function names()
    local list, known = {}, {}
    for _, peer in ipairs(bioxen.peers()) do
        if not known[peer.name] and peer.name ~= bioxen.name then
            known[peer.name] = true
            list[#list + 1] = peer.name
        end
    end
    return list
end

function bioxen.broadcast(value)
    check_network("broadcast")
    local count, failed = 0, nil
    for _, peer in ipairs(names()) do
        local sent, kind, detail = core.send(peer, value, SEND_TIMEOUT)
        if sent then
            count = count + 1
        else
            failed = failed or {}
            failed[peer] = why_not(peer, kind, detail)
        end
    end
    return count, failed
end

function bioxen.pending(peer)
    check("pending", 1, peer, "string")
    return core.networked and core.pending(peer) or 0
end

function bioxen.ready()
    core.ready()
end

function bioxen.log(...)
    local texts = table.pack(...)
    for i = 1, texts.n do
        texts[i] = tostring(texts[i])
    end
    core.log(table.concat(texts, "\t", 1, texts.n) .. "\n")
end

function bioxen.sleep(seconds)
    check("sleep", 1, seconds, "number")
    check_seconds("sleep", 1, seconds)
    core.sleep(seconds)
end

bioxen.now = core.now

-- Each message is a request, and what the handler returns is the answer to it.
local function serve_messages(handler)
    core.ready()
    while true do
        local from, value = core.receive()
        local answer = handler(from, value)
        if answer ~= nil then
            bioxen.send(from, answer)
        end
    end
end

function bioxen.serve(options)
    check("serve", 1, options, "table")
    check_network("serve")
    if type(options.handler) ~= "function" then
        error("bioxen.serve: 'handler' must be a function", 2)
    elseif options.port == nil then
        return serve_messages(options.handler)
    elseif math.type(options.port) ~= "integer" or options.port < 1 or options.port > 65535 then
        error("bioxen.serve: 'port' must be a whole number from 1 to 65535", 2)
    elseif options.on_message ~= nil and type(options.on_message) ~= "function" then
        error("bioxen.serve: 'on_message' must be a function", 2)
    end
    return require "bioxen.serve"(options)
end

return bioxen
