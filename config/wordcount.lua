-- wordcount.lua: files, in the profile full. Reads the files it is given (its own directory is /app, read-only), sorts
-- words by how often they occur through a scratch file in /tmp, and prints the first ten.
--
--   bioxen run --profile full config/wordcount.lua /app/wordcount.lua
local names = {...}
if #names == 0 then
  error("usage: wordcount.lua FILE...", 0)
end

local counts, lines = {}, 0
for _, name in ipairs(names) do
  for line in io.lines(name) do
    lines = lines + 1
    for word in line:lower():gmatch("%a[%a']*") do
      counts[word] = (counts[word] or 0) + 1
    end
  end
end

local words = {}
for word in pairs(counts) do
  words[#words + 1] = word
end
table.sort(words, function(a, b)
  return counts[a] > counts[b] or (counts[a] == counts[b] and a < b)
end)

local scratch = assert(io.open("/tmp/words.txt", "w"))
for _, word in ipairs(words) do
  assert(scratch:write(counts[word], " ", word, "\n"))
end
assert(scratch:close())

print(("%d lines, %d different words"):format(lines, #words))
local shown = 0
for line in io.lines("/tmp/words.txt") do
  shown = shown + 1
  if shown > 10 then
    break
  end
  print("  " .. line)
end
