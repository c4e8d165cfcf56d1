-- name: esc-error-with-nul-and-escapes
-- class: lua-escape
-- profile: restricted
-- expect: error .*
-- host: what is shown of it drives no terminal

error("before\0after\27[2J\27]0;title\7\r\nforged line: bioxen: all is well", 0)
