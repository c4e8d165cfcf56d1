-- Huffman coding of a text, with a heap; decoded again and compared.
local function heap(less)
  local h = {}
  local self = {}
  function self.push(v)
    h[#h + 1] = v
    local i = #h
    while i > 1 and less(h[i], h[i // 2]) do h[i], h[i // 2] = h[i // 2], h[i] i = i // 2 end
  end
  function self.pop()
    local top = h[1]
    h[1] = h[#h]
    h[#h] = nil
    local i = 1
    while true do
      local small = i
      for c = 2 * i, 2 * i + 1 do if h[c] and less(h[c], h[small]) then small = c end end
      if small == i then return top end
      h[i], h[small] = h[small], h[i]
      i = small
    end
  end
  function self.size() return #h end
  return self
end

local function codes(text)
  local count = {}
  for c in text:gmatch(".") do count[c] = (count[c] or 0) + 1 end
  local q = heap(function(a, b) if a.n ~= b.n then return a.n < b.n end return a.first < b.first end)
  local letters = {}
  for c in pairs(count) do letters[#letters + 1] = c end
  table.sort(letters)
  for _, c in ipairs(letters) do q.push{ n = count[c], first = c, letter = c } end
  while q.size() > 1 do
    local a, b = q.pop(), q.pop()
    q.push{ n = a.n + b.n, first = a.first < b.first and a.first or b.first, a, b }
  end
  local out, root = {}, q.pop()
  local function walk(node, prefix)
    if node.letter then out[node.letter] = prefix == "" and "0" or prefix return end
    walk(node[1], prefix .. "0")
    walk(node[2], prefix .. "1")
  end
  walk(root, "")
  return out, root
end

local words = {}
local seed = 42
for i = 1, 4000 do
  seed = (seed * 1103515245 + 12345) % 2147483648
  words[i] = ("etaoin shrdlu cmfwyp"):sub(seed // 65536 % 20 + 1, seed // 65536 % 20 + 1 + seed // 7 % 4)
end
local text = table.concat(words)
local code, root = codes(text)
local encoded = text:gsub(".", code)
local decoded, node = {}, root
for bit in encoded:gmatch(".") do
  node = node[bit == "0" and 1 or 2]
  if node.letter then decoded[#decoded + 1] = node.letter node = root end
end
print(#text, #encoded, table.concat(decoded) == text)
local letters = {}
for c in pairs(code) do letters[#letters + 1] = c end
table.sort(letters)
for _, c in ipairs(letters) do print(("%q"):format(c), code[c]) end
