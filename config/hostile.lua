-- hostile.lua: one script, several attacks; scripts/demo runs each in a VM of its own and shows how it ended.
--
--   bioxen run --profile full --timeout 1s config/hostile.lua read-host|shell|spin|eat|flood|bytecode
local attacks = {}

attacks["read-host"] = function()
  for _, path in ipairs {"/etc/passwd", "/etc/shadow", "/proc/self/environ", "/sys/kernel/vmcoreinfo", "/dev/mem"} do
    local file = io.open(path, "rb")
    if file then
      error("the host's " .. path .. " is readable: " .. tostring(file:read(40)), 0)
    end
  end
  local file, why = io.open("/app/planted.lua", "w")
  if file then
    error("the script's directory is writable", 0)
  end
  print("no file of the host is there; writing to /app: " .. why)
end

attacks.shell = function()
  local ok, how, code = os.execute("id")
  if ok then
    error("a shell ran", 0)
  end
  local started, pipe = pcall(io.popen, "id")
  local said = started and pipe and pipe:read("a") or ""
  if said ~= "" then
    error("a program ran: " .. said, 0)
  end
  print("no shell: os.execute answers", ok, how, code)
end

-- Swallows the error of any limit that is an error, in a coroutine, and goes on.
attacks.spin = function()
  while true do
    coroutine.wrap(function()
      pcall(function()
        while true do end
      end)
    end)()
  end
end

attacks.eat = function()
  local hoard, n = {}, 0
  local ok, why = pcall(function()
    while true do
      n = n + 1
      hoard[n] = ("x"):rep(1 << 20) .. n
    end
  end)
  hoard = nil
  if ok or why ~= "not enough memory" then
    error("the memory limit answered: " .. tostring(why), 0)
  end
  print(("after %d MiB: %s; the script lives on"):format(n - 1, why))
end

attacks.flood = function()
  local line = ("A"):rep(65536)
  while true do
    io.write(line)
  end
end

-- Broken bytecode crashes any Lua: it must not even be loaded.
attacks.bytecode = function()
  local chunk, why = load("\27Lua\84\0\25\147\r\n\26\n", "=bytecode", "b")
  if chunk then
    error("a binary chunk was loaded", 0)
  end
  print("bytecode: " .. why)
end

local attack = attacks[(...)]
if not attack then
  error("usage: hostile.lua read-host|shell|spin|eat|flood|bytecode", 0)
end
attack()
