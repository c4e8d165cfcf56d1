-- name: result-many-values
-- class: output
-- profile: restricted
-- expect: ok DONE
-- accept: error .*
-- accept: killed oom

print("DONE")
return table.unpack({}, 1, 200000)
