-- name: out-binary
-- class: output
-- profile: restricted
-- expect: ok DONE

local t = {}
for i = 0, 255 do t[#t + 1] = string.char(i) end
print(table.concat(t))
print(("\0"):rep(1 << 16))
print("\xff\xfe\xc0\x80\xed\xa0\x80")
print("DONE")
