-- name: mem-oom-in-handler
-- class: memory
-- profile: restricted
-- expect: ok DONE
-- accept: killed oom
-- accept: killed timeout
-- accept: error .*

-- Out of memory, and the handler wants more.
print(xpcall(function() local t = {} while true do t = { t } end end, function() local t = {} while true do t[#t + 1] = ("x"):rep(1 << 16) .. #t end end))
print("DONE")
