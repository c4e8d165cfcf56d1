-- needs: mediator
local Mediator = require "mediator"
local m = Mediator()
local seen = {}
m:subscribe({ "car", "engine" }, function(v) seen[#seen + 1] = "engine " .. v return nil, true end)
m:subscribe({ "car" }, function(v) seen[#seen + 1] = "car " .. v end, { priority = 1 })
m:publish({ "car", "engine" }, "start")
m:publish({ "car" }, "stop")
print(table.concat(seen, ", "))
