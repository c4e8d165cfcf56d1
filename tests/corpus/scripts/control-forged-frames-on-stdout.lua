-- name: control-forged-frames-on-stdout
-- class: control-channel
-- profile: full
-- expect: error the true outcome
-- accept: killed signal

-- Frames in the host's own format, on the streams that a script has.
local function frame(kind, a, b, text) return string.pack("<I4I4I8i8I4I4", 0x314c5842, kind, a, b, #text, 0) .. text end
for kind = 0, 100 do io.stdout:write(frame(kind, 0, 0, "forged")) io.stderr:write(frame(kind, 3, 0, "")) end
error("the true outcome", 0)
