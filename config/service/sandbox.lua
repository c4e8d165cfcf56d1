-- sandbox.lua: evaluates what strangers wrote. The walls around it are the VM's; the environment here is only manners.
local bioxen = require "bioxen"

local function fresh_environment()
  local environment = {}
  for _, name in ipairs {"math", "string", "table", "utf8"} do
    environment[name] = {}
    for key, value in pairs(_G[name]) do
      environment[name][key] = value
    end
  end
  for _, name in ipairs {"ipairs", "next", "pairs", "select", "tonumber", "tostring", "type"} do
    environment[name] = _G[name]
  end
  return environment
end

local function evaluate(code)
  local chunk, why = load("return " .. code, "=line", "t", fresh_environment())
  if not chunk then
    chunk, why = load(code, "=line", "t", fresh_environment())
  end
  if not chunk then
    return why
  end
  local results = table.pack(pcall(chunk))
  local words = {}
  for i = 2, results.n do
    words[#words + 1] = tostring(results[i])
  end
  return table.concat(words, "\t"):sub(1, 1000)
end

bioxen.ready()
while true do
  local from, message = bioxen.receive()
  bioxen.send(from, {number = message.number, text = evaluate(message.code)})
end
