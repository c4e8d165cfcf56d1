-- name: cpu-searchers-endless
-- class: cpu
-- profile: full
-- expect: killed timeout

package.searchers = setmetatable({}, { __index = function() return function() while true do end end end })
require("x")
