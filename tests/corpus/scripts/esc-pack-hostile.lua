-- name: esc-pack-hostile
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

for _, f in ipairs{ "i17", "i0", "!17", "!3i4", "s17", "c", "c-1", "Xx", "X", "z", "s1", "!16Xi16", ("!8 i8 x"):rep(1000), "c9223372036854775807", "j\0", ">=<!" } do
  pcall(string.pack, f, 1) pcall(string.pack, f, "x") pcall(string.packsize, f) pcall(string.unpack, f, ("x"):rep(20)) pcall(string.unpack, f, "x", math.mininteger) pcall(string.unpack, f, "x", 1 << 62)
end
pcall(string.pack, "z", "a\0b")
pcall(string.unpack, "s8", ("\255"):rep(8))
print("DONE")
