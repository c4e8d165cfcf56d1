-- name: fs-long-names
-- class: fs
-- profile: full
-- expect: ok DONE

for _, n in ipairs{ 255, 256, 4095, 4096, 100000, 1 << 20 } do
  pcall(io.open, "/tmp/" .. ("x"):rep(n), "w") pcall(os.remove, ("/"):rep(n)) pcall(os.rename, ("../"):rep(n), "/tmp/x") pcall(io.open, "/tmp/" .. ("./"):rep(n), "w")
end
pcall(io.open, "/tmp/a\0b", "w") pcall(os.remove, "\0") pcall(io.open, "/tmp/\n\27[31m\255", "w") pcall(io.open, "", "w") pcall(io.open, "/tmp/x", "rwx") pcall(io.open, "/tmp/x", "")
print("DONE")
