-- name: esc-close-self
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

local co
co = coroutine.create(function() print(pcall(coroutine.close, co)) end)
coroutine.resume(co)
print("DONE")
