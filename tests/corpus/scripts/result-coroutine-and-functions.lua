-- name: result-coroutine-and-functions
-- class: output
-- profile: restricted
-- expect: ok DONE
-- accept: error .*

print("DONE")
return coroutine.create(print), print, function() end, io, setmetatable({}, { __gc = error })
