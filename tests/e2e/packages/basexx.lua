-- needs: basexx
local b = require "basexx"
for _, s in ipairs{ "", "f", "fo", "foo", "foobar", "\0\255\128" } do
  print(b.to_base64(s), b.to_base32(s), b.to_hex(s), b.to_bit(s), b.from_base64(b.to_base64(s)) == s, b.from_base32(b.to_base32(s)) == s)
end
