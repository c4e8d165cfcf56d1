-- needs: moses
local M = require "moses"
print(table.concat(M.map({ 1, 2, 3 }, function(v) return v * v end), " "), M.reduce({ 1, 2, 3, 4 }, function(a, b) return a + b end))
print(table.concat(M.unique{ 1, 1, 2, 3, 3 }, " "), M.isEqual({ 1, { 2 } }, { 1, { 2 } }), table.concat(M.sort(M.flatten{ 1, { 2, { 3 } } }), " "))
print(M.chain({ 1, 2, 3, 4, 5, 6 }):filter(function(v) return v % 2 == 0 end):map(function(v) return v * 10 end):value()[3])
