-- name: esc-exit-code-forgery
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

-- Values that are no exit status.
pcall(os.exit, {}) pcall(os.exit, "x") pcall(os.exit, 1.5) pcall(os.exit, setmetatable({}, { __tostring = error }))
print("DONE")
