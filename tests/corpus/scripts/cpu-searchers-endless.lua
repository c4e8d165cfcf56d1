-- name: cpu-searchers-endless
-- class: cpu
-- profile: full
-- expect: killed timeout

package.searchers[1] = function() while true do end end
require("x")
