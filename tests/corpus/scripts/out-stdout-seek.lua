-- name: out-stdout-seek
-- class: output
-- profile: full
-- expect: ok DONE

for _, w in ipairs{ "set", "cur", "end" } do pcall(io.stdout.seek, io.stdout, w, 0) pcall(io.stdout.seek, io.stdout, w, 1 << 40) end
pcall(io.stdout.read, io.stdout, "a")
pcall(io.stdin.write, io.stdin, "x")
print("DONE")
