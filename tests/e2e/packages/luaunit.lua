-- needs: luaunit
-- profile: full
local lu = require "luaunit"
TestThings = {}
function TestThings:testEqual() lu.assertEquals({ 1, { 2 } }, { 1, { 2 } }) end
function TestThings:testAlmost() lu.assertAlmostEquals(0.1 + 0.2, 0.3, 1e-12) end
function TestThings:testError() lu.assertErrorMsgContains("boom", function() error("boom") end) end
function TestThings:testFails() lu.assertEquals(1, 2) end
local runner = lu.LuaUnit.new()
runner:setOutputType("tap")
print(runner:runSuite("TestThings.testEqual", "TestThings.testAlmost", "TestThings.testError"))
