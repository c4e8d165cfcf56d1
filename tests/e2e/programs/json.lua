-- A JSON reader and writer, and a round trip over a generated document.
local json = {}
local escapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function fail(text, at, what)
  local line = select(2, text:sub(1, at):gsub("\n", "")) + 1
  error(("line %d: %s"):format(line, what), 0)
end

local value
local function space(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

local function string_at(text, at)
  local parts, from = {}, at + 1
  while true do
    local stop = text:find('["\\]', from) or fail(text, at, "string without an end")
    parts[#parts + 1] = text:sub(from, stop - 1)
    if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    local kind = text:sub(stop + 1, stop + 1)
    if kind == "u" then
      local code = tonumber(text:match("^%x%x%x%x", stop + 2) or fail(text, stop, "bad \\u"), 16)
      from = stop + 6
      if code >= 0xD800 and code < 0xDC00 then
        local low = tonumber(text:match("^\\u(%x%x%x%x)", from), 16)
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        from = from + 6
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = escapes[kind] or fail(text, stop, "bad escape")
      from = stop + 2
    end
  end
end

local function array_at(text, at)
  local out = {}
  at = space(text, at + 1)
  if text:sub(at, at) == "]" then return out, at + 1 end
  while true do
    out[#out + 1], at = value(text, at)
    at = space(text, at)
    local c = text:sub(at, at)
    if c == "]" then return out, at + 1 end
    if c ~= "," then fail(text, at, "comma or ] expected") end
    at = space(text, at + 1)
  end
end

local function object_at(text, at)
  local out = {}
  at = space(text, at + 1)
  if text:sub(at, at) == "}" then return out, at + 1 end
  while true do
    local key
    if text:sub(at, at) ~= '"' then fail(text, at, "name expected") end
    key, at = string_at(text, at)
    at = space(text, at)
    if text:sub(at, at) ~= ":" then fail(text, at, "colon expected") end
    out[key], at = value(text, space(text, at + 1))
    at = space(text, at)
    local c = text:sub(at, at)
    if c == "}" then return out, at + 1 end
    if c ~= "," then fail(text, at, "comma or } expected") end
    at = space(text, at + 1)
  end
end

function value(text, at)
  local c = text:sub(at, at)
  if c == '"' then return string_at(text, at) end
  if c == "[" then return array_at(text, at) end
  if c == "{" then return object_at(text, at) end
  for word, v in pairs{ ["true"] = true, ["false"] = false } do
    if text:sub(at, at + #word - 1) == word then return v, at + #word end
  end
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if number then return tonumber(number), at + #number end
  fail(text, at, "value expected")
end

function json.decode(text)
  local v, at = value(text, space(text, 1))
  at = space(text, at)
  if at <= #text then fail(text, at, "text after the end") end
  return v
end

local function quote(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

function json.encode(v)
  local kind = type(v)
  if kind == "string" then return quote(v) end
  if kind == "number" then return math.type(v) == "integer" and ("%d"):format(v) or ("%.17g"):format(v) end
  if kind == "boolean" then return tostring(v) end
  local out = {}
  if #v > 0 then
    for i, w in ipairs(v) do out[i] = json.encode(w) end
    return "[" .. table.concat(out, ",") .. "]"
  end
  local names = {}
  for k in pairs(v) do names[#names + 1] = k end
  table.sort(names)
  for i, k in ipairs(names) do out[i] = quote(k) .. ":" .. json.encode(v[k]) end
  return "{" .. table.concat(out, ",") .. "}"
end

local document = {}
for i = 1, 400 do
  document[i] = { id = i, name = "entry " .. i, tags = { "a" .. i % 7, "b\n\"" .. i % 3, utf8.char(0x1F600 + i % 50) }, weight = i / 8, on = i % 2 == 0, nested = { x = { y = { z = { i } } } } }
end
local text = json.encode(document)
local again = json.encode(json.decode(text))
print(#text, text == again, text:sub(1, 120))
print(json.encode(json.decode('  {"a":[1,2.5,-3e2,"\\u00e9\\ud83d\\ude00\\n"],"b":{"c":true},"d":false} ')))
for _, bad in ipairs{ '{"a":}', "[1,2", '"abc', "[1 2]", '{"a" 1}', "tru", "[1]x", '"\\x"' } do print(pcall(json.decode, bad)) end
