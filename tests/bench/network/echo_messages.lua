-- Sends every text back, up to the one that is "end"; numbers are only taken.
local bioxen = require "bioxen"
repeat
    local from, value = bioxen.receive()
    if type(value) == "string" then
        bioxen.send(from, value)
    end
until value == "end"
