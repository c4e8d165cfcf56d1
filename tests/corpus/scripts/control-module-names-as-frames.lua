-- name: control-module-names-as-frames
-- class: control-channel
-- profile: restricted
-- expect: ok DONE

for kind = 0, 99 do pcall(require, string.pack("<I4I4I8i8I4I4", 0x314c5842, kind, 0, 0, 0, 0)) end
for _, n in ipairs{ 1000, 16383, 16384, 16385, 65536, 131072, 1 << 20, 1 << 22 } do pcall(require, ("x"):rep(n)) end
print("DONE")
