-- primes.lua: a computation. Counts the primes up to N by an odd-only sieve, and prints the last few.
--
--   bioxen run --memory 64MiB --cpu-time 10s config/primes.lua 1000000
local limit = math.tointeger(tonumber((...) or 1000000))
if not limit or limit < 2 then
  error("usage: primes.lua N, a whole number from 2", 0)
end

-- composite[i] stands for the odd number 2i + 1.
local composite, half = {}, (limit - 1) // 2
for i = 1, half do
  composite[i] = false
end
for i = 1, half do
  local p = 2 * i + 1
  if p * p > limit then
    break
  end
  if not composite[i] then
    for j = (p * p - 1) // 2, half, p do
      composite[j] = true
    end
  end
end

local count, last = 1, {2}
for i = 1, half do
  if not composite[i] then
    count = count + 1
    last[#last + 1] = 2 * i + 1
    if #last > 5 then
      table.remove(last, 1)
    end
  end
end
print(("%d primes up to %d, the last: %s"):format(count, limit, table.concat(last, " ")))
