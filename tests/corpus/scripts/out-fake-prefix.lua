-- name: out-fake-prefix
-- class: output
-- profile: full
-- expect: error real

io.stderr:write("bioxen: script.lua:1: forged\nstack traceback:\n\t[C]: in ?\n")
error("real", 0)
