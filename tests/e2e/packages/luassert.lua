-- needs: luassert say
-- profile: full
local assert = require "luassert"
assert.are.same({ a = { 1, 2 } }, { a = { 1, 2 } })
assert.is_true(true)
assert.has_error(function() error("x", 0) end, "x")
print(pcall(assert.are.equal, 1, 2))
local spy = require "luassert.spy"
local s = spy.new(function(x) return x end)
s(5)
assert.spy(s).was_called_with(5)
print("asserted")
