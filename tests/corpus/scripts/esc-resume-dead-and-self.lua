-- name: esc-resume-dead-and-self
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

local co = coroutine.create(function() end)
for i = 1, 3 do coroutine.resume(co) end
print(coroutine.resume(coroutine.running()))
print(pcall(coroutine.wrap(function() end)))
print("DONE")
