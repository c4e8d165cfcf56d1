-- name: mem-unpack-huge
-- class: memory
-- profile: restricted
-- expect: error too many results to unpack
-- accept: killed oom
-- accept: error .*

print(select("#", table.unpack({}, 1, 1 << 30)))
