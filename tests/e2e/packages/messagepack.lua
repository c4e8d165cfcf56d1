-- needs: MessagePack
local mp = require "MessagePack"
local packed = mp.pack{ 1, -1, 1 << 40, 2.5, "text", { nested = { 1, 2, 3 } }, true }
local back = mp.unpack(packed)
print(#packed, back[1], back[2], back[3], back[4], back[5], #back[6].nested, back[7])
for _, v in ipairs{ 0, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, 1 << 62, ("x"):rep(300), ("y"):rep(70000) } do assert(mp.unpack(mp.pack(v)) == v) end
print(("%02x "):rep(8):format(packed:byte(1, 8)))
print((pcall(mp.unpack, "\xc1")))
