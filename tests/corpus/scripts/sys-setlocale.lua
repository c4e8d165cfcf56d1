-- name: sys-setlocale
-- class: syscall
-- profile: full
-- expect: ok DONE

for _, c in ipairs{ "all", "collate", "ctype", "monetary", "numeric", "time" } do for _, l in ipairs{ "", "C", "POSIX", "en_US.UTF-8", "../../etc/passwd", ("x"):rep(10000), "xx\0yy" } do pcall(os.setlocale, l, c) end end
print("DONE")
