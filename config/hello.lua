-- hello.lua: a first script. Its arguments are in `arg` and `...`, its environment is what --env gave it.
--
--   bioxen run --env GREETING=Servus config/hello.lua Ada Grace
local greeting = os.getenv("GREETING") or "Hello"
local names = {...}
if #names == 0 then
  names[1] = "world"
end
for _, name in ipairs(names) do
  print(("%s, %s! This is %s."):format(greeting, name, _VERSION))
end

-- What the safe profile leaves out is not there to be called.
local absent = {}
for _, name in ipairs {"io", "package", "dofile", "loadfile"} do
  if _G[name] == nil then
    absent[#absent + 1] = name
  end
end
print(#absent > 0 and "Out of reach here: " .. table.concat(absent, ", ") or "The whole standard library is here.")
