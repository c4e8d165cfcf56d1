-- name: esc-exit-in-gc
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

print("DONE")
setmetatable({}, { __gc = function() os.exit(0) end })
collectgarbage()
print("NOT REACHED")
