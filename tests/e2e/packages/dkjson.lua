-- needs: dkjson
local json = require "dkjson"
local text = json.encode({ 1, 2.5, "x\u{1F600}\n", { a = json.null, b = { true, false } } }, { keyorder = { "a", "b" }, indent = true })
print(text)
print(json.encode(json.decode(text), { keyorder = { "a", "b" } }))
print(json.decode('{"a":[1,2,}'))
print(json.decode('[1e3,-0.5,"\\u00e9"]')[3])
