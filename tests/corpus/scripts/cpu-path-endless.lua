-- name: cpu-path-endless
-- class: cpu
-- profile: full
-- expect: killed timeout
-- accept: error .*
-- accept: killed oom

package.path = ("/tmp/?.lua;"):rep(1000000)
require("x")
