-- A small language: recursive-descent parser to closures, run on a few programs.
local function lex(text)
  local out = {}
  for word in text:gmatch("%S+") do out[#out + 1] = word end
  return out
end

local parse
local function block(words, at, ending)
  local body = {}
  while words[at] ~= ending do
    if not words[at] then error("missing " .. ending, 0) end
    body[#body + 1], at = parse(words, at)
  end
  return function(stack, env) for _, f in ipairs(body) do f(stack, env) end end, at + 1
end

local function pop(stack)
  if #stack == 0 then error("stack is empty", 0) end
  return table.remove(stack)
end

local operators = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end, ["*"] = function(a, b) return a * b end, ["/"] = function(a, b) return a // b end,
  ["%"] = function(a, b) return a % b end, ["<"] = function(a, b) return a < b and 1 or 0 end, ["="] = function(a, b) return a == b and 1 or 0 end,
}

function parse(words, at)
  local w = words[at]
  if tonumber(w) then local n = math.tointeger(tonumber(w)) or tonumber(w) return function(s) s[#s + 1] = n end, at + 1 end
  if operators[w] then local f = operators[w] return function(s) local b, a = pop(s), pop(s) s[#s + 1] = f(a, b) end, at + 1 end
  if w == "dup" then return function(s) s[#s + 1] = s[#s] end, at + 1 end
  if w == "swap" then return function(s) local b, a = pop(s), pop(s) s[#s + 1] = b s[#s + 1] = a end, at + 1 end
  if w == "drop" then return pop, at + 1 end
  if w == "." then return function(s, env) env.out[#env.out + 1] = tostring(pop(s)) end, at + 1 end
  if w == ":" then
    local name = words[at + 1]
    local body, after = block(words, at + 2, ";")
    return function(_, env) env[name] = body end, after
  end
  if w == "while" then
    local condition, middle = block(words, at + 1, "do")
    local body, after = block(words, middle, "end")
    return function(s, env)
      while true do
        condition(s, env)
        if pop(s) == 0 then return end
        body(s, env)
      end
    end, after
  end
  if w == "if" then
    local body, after = block(words, at + 1, "then")
    return function(s, env) if pop(s) ~= 0 then body(s, env) end end, after
  end
  if w:sub(1, 1) == ">" then local n = w:sub(2) return function(s, env) env.vars[n] = pop(s) end, at + 1 end
  if w:sub(1, 1) == "$" then local n = w:sub(2) return function(s, env) s[#s + 1] = env.vars[n] or error("no variable " .. n, 0) end, at + 1 end
  return function(s, env) local f = env[w] or error("no word " .. w, 0) f(s, env) end, at + 1
end

local function run(text)
  local program = block(lex(text .. " END"), 1, "END")
  local env = { out = {}, vars = {} }
  local ok, message = pcall(program, {}, env)
  return table.concat(env.out, " ") .. (ok and "" or " ! " .. tostring(message))
end

print(run(": square dup * ; 7 square . 1 2 swap . ."))
print(run("0 >s 1 >i while $i 20001 < do $s $i $i * + 1000007 % >s $i 1 + >i end $s ."))
print(run(": fib dup 2 < if then dup 2 < 0 = if dup 1 - fib swap 2 - fib + then ; 20 fib ."))
print(run("2 >n while $n 200 < do 2 >d 1 >p while $d $d * $n 1 + < do $n $d % 0 = if 0 >p then $d 1 + >d end $p if $n . then $n 1 + >n end"))
print(run("1 +"), run("nonsense"), run("$x"), pcall(run, "while 1"))
