-- One-way constraints with a planner, in the manner of the DeltaBlue benchmark: classes by metatables.
local function class(base)
  local c = {}
  c.__index = c
  return setmetatable(c, { __index = base, __call = function(_, ...) local o = setmetatable({}, c) o:init(...) return o end })
end

local Variable = class()
function Variable:init(name, value) self.name, self.value, self.constraints, self.by, self.mark = name, value, {}, nil, 0 end

local Constraint = class()
function Constraint:init(strength, ...) self.strength, self.variables = strength, { ... } for _, v in ipairs(self.variables) do table.insert(v.constraints, self) end end
local Equal = class(Constraint)
function Equal:output() return self.variables[2] end
function Equal:inputs() return { self.variables[1] } end
function Equal:run() self.variables[2].value = self.variables[1].value end
local Scale = class(Constraint)
function Scale:output() return self.variables[4] end
function Scale:inputs() return { self.variables[1], self.variables[2], self.variables[3] } end
function Scale:run() local v = self.variables v[4].value = v[1].value * v[2].value + v[3].value end
local Edit = class(Constraint)
function Edit:output() return self.variables[1] end
function Edit:inputs() return {} end
function Edit:run() end

local mark = 0
local function plan(start)
  mark = mark + 1
  local order, todo = {}, { start }
  while #todo > 0 do
    local c = table.remove(todo)
    local out = c:output()
    if out.mark ~= mark and (not out.by or out.by == c or c.strength >= out.by.strength) then
      out.by, out.mark = c, mark
      order[#order + 1] = c
      for _, next_one in ipairs(out.constraints) do
        if next_one ~= c and next_one:output() ~= out then todo[#todo + 1] = next_one end
      end
    end
  end
  return order
end

local first, last
local previous
for i = 0, 300 do
  local v = Variable("v" .. i, 0)
  if previous then Equal(3, previous, v) else first = v end
  previous, last = v, v
end
local edit = Edit(5, first)
for round = 1, 50 do
  first.value = round * 7
  for _, c in ipairs(plan(edit)) do c:run() end
  assert(last.value == round * 7)
end
print("chain", first.value, last.value, mark)

local scale, offset = Variable("scale", 10), Variable("offset", 1000)
local sources, targets = {}, {}
for i = 1, 200 do
  sources[i], targets[i] = Variable("s" .. i, i), Variable("t" .. i, i)
  Scale(4, sources[i], scale, offset, targets[i])
end
local sum = 0
for i = 1, 200 do
  local e = Edit(5, sources[i])
  sources[i].value = i * 3
  for _, c in ipairs(plan(e)) do c:run() end
  sum = sum + targets[i].value
end
print("projection", sum)
scale.value = 7
for _, c in ipairs(plan(Edit(5, scale))) do c:run() end
for i = 1, 200 do sum = sum + targets[i].value end
print("rescaled", sum)
