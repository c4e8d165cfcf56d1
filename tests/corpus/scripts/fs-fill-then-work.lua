-- name: fs-fill-then-work
-- class: fs
-- profile: full
-- expect: ok DONE
-- accept: killed oom
-- accept: killed limit

-- A full /tmp is the script's own trouble; after removing its file all works again.
local f = io.open("/tmp/fill", "wb")
for i = 1, 64 do if not f:write(("x"):rep(1 << 20)) or not f:flush() then break end end
f:close()
os.remove("/tmp/fill")
local g = assert(io.open("/tmp/again", "w"))
assert(g:write("x") and g:close())
print("DONE")
