-- A tokenizer for Lua, in Lua: counts the kinds of tokens of its own source-like text.
local keywords = {}
for w in ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while"):gmatch("%a+") do keywords[w] = true end

local rules = {
  { "space", "^%s+" }, { "comment", "^%-%-%[(=*)%[.-%]%1%]" }, { "comment", "^%-%-[^\n]*" },
  { "string", "^%[(=*)%[.-%]%1%]" }, { "number", "^0[xX]%x+%.?%x*[pP]?[+-]?%d*" }, { "number", "^%d+%.?%d*[eE][+-]?%d+" }, { "number", "^%d+%.?%d*" }, { "number", "^%.%d+" },
  { "name", "^[%a_][%w_]*" }, { "operator", "^%.%.%." }, { "operator", "^%.%." }, { "operator", "^[<>=~]=" }, { "operator", "^//" }, { "operator", "^<<" }, { "operator", "^>>" }, { "operator", "^::" },
  { "operator", "^[%+%-%*/%%%^#&~|<>=%(%){}%[%];:,%.]" },
}

local function quoted(text, at)
  local mark = text:sub(at, at)
  local i = at + 1
  while true do
    local c = text:sub(i, i)
    if c == "" or c == "\n" then error("unfinished string at " .. at, 0) end
    if c == "\\" then i = i + 2 elseif c == mark then return i else i = i + 1 end
  end
end

local function tokens(text)
  return coroutine.wrap(function()
    local at = 1
    while at <= #text do
      local c = text:sub(at, at)
      local stop, kind
      if c == '"' or c == "'" then kind, stop = "string", quoted(text, at) else
        for _, rule in ipairs(rules) do
          local s, e = text:find(rule[2], at)
          if s then kind, stop = rule[1], e break end
        end
      end
      if not kind then error(("stray %q at %d"):format(c, at), 0) end
      local word = text:sub(at, stop)
      if kind == "name" and keywords[word] then kind = "keyword" end
      if kind ~= "space" then coroutine.yield(kind, word) end
      at = stop + 1
    end
  end)
end

local sample = [==[
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end -- a comment
--[[ long
comment ]] local s, t = "a\"b\\", 'c' .. [[long ]] .. [=[ ]] ]=] x = 0xFF.8p1 // 3.5e-10 << 2 ~= .5 ::label:: goto label
for k, v in pairs({ 1, 2, [3] = "x"; y = ... }) do print(#k, ~v, not v, k ^ v, v & 1 | 2) end
]==]
local count, total = {}, 0
for kind in tokens(sample:rep(60)) do count[kind] = (count[kind] or 0) + 1 total = total + 1 end
local kinds = {}
for k in pairs(count) do kinds[#kinds + 1] = k end
table.sort(kinds)
for _, k in ipairs(kinds) do print(k, count[k]) end
print("total", total)
local line = {}
for kind, word in tokens(sample:sub(1, 200)) do line[#line + 1] = kind:sub(1, 1) .. ":" .. word end
print(table.concat(line, " "))
print(pcall(function() for _ in tokens("x = 'unfinished") do end end))
print(pcall(function() for _ in tokens("x = @") do end end))
