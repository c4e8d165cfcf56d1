-- worker.lua: counts the primes in one block of ten thousand numbers after the other.
local bioxen = require "bioxen"

local function is_prime(n)
  for d = 2, math.floor(math.sqrt(n)) do
    if n % d == 0 then
      return false
    end
  end
  return n > 1
end

local function count(job)
  local primes = 0
  for n = (job - 1) * 10000, job * 10000 - 1 do
    primes = primes + (is_prime(n) and 1 or 0)
  end
  return primes
end

bioxen.send("dispatcher", {idle = true})
while true do
  local _, message = bioxen.receive()
  if message.stop then
    break
  elseif message.job then
    bioxen.send("dispatcher", {job = message.job, result = count(message.job)})
  else
    bioxen.sleep(message.rest)
    bioxen.send("dispatcher", {idle = true})
  end
end
