-- name: out-stdout-closed
-- class: output
-- profile: full
-- expect: ok
-- accept: error .*

io.stdout:close()
print("into nothing")
io.write("x")
