-- name: esc-arg-tampered
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

arg = setmetatable({}, { __index = error, __len = error })
arg = nil
print("DONE")
