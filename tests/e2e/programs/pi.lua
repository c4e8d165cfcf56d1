-- Digits of pi and large powers with big integers of its own (base 10^7).
local BASE, DIGITS = 10000000, 7
local big = {}
big.__index = big

local function trim(t) while #t > 1 and t[#t] == 0 do t[#t] = nil end return t end
local function new(n)
  local t = setmetatable({}, big)
  repeat t[#t + 1] = n % BASE n = n // BASE until n == 0
  return t
end
function big.__add(a, b)
  local out, carry = setmetatable({}, big), 0
  for i = 1, math.max(#a, #b) do
    local s = (a[i] or 0) + (b[i] or 0) + carry
    out[i], carry = s % BASE, s // BASE
  end
  if carry > 0 then out[#out + 1] = carry end
  return out
end
function big.__sub(a, b)
  local out, borrow = setmetatable({}, big), 0
  for i = 1, #a do
    local s = a[i] - (b[i] or 0) - borrow
    borrow = s < 0 and 1 or 0
    out[i] = s + borrow * BASE
  end
  return trim(out)
end
function big.__mul(a, b)
  if type(b) == "number" then b = new(b) end
  local out = setmetatable({}, big)
  for i = 1, #a + #b do out[i] = 0 end
  for i = 1, #a do
    local carry = 0
    for j = 1, #b do
      local s = out[i + j - 1] + a[i] * b[j] + carry
      out[i + j - 1], carry = s % BASE, s // BASE
    end
    out[i + #b] = out[i + #b] + carry
  end
  return trim(out)
end
function big.__idiv(a, n)
  local out, rest = setmetatable({}, big), 0
  for i = #a, 1, -1 do
    local s = rest * BASE + a[i]
    out[i], rest = s // n, s % n
  end
  return trim(out), rest
end
function big.__eq(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if a[i] ~= b[i] then return false end end
  return true
end
function big:zero() return #self == 1 and self[1] == 0 end
function big.__tostring(a)
  local out = { tostring(a[#a]) }
  for i = #a - 1, 1, -1 do out[#out + 1] = ("%07d"):format(a[i]) end
  return table.concat(out)
end

-- Machin's formula in fixed point.
local function arctan(inverse, unit)
  local term = unit // inverse
  local sum, n, square, plus = term, 1, inverse * inverse, false
  while true do
    term = term // square
    if term:zero() then return sum end
    n = n + 2
    local part = term // n
    sum = plus and sum + part or sum - part
    plus = not plus
  end
end

local digits = 420
local unit = new(1)
for _ = 1, digits // DIGITS + 2 do unit = unit * BASE end
local pi = (arctan(5, unit) * 4 - arctan(239, unit)) * 4
print(tostring(pi):sub(1, digits))
local p = new(1)
for _ = 1, 521 do p = p * 2 end
print(p - new(1))
local f = new(1)
for i = 2, 150 do f = f * i end
print(f)
local a, b = new(0), new(1)
for _ = 1, 1000 do a, b = b, a + b end
print(a, a == b)
