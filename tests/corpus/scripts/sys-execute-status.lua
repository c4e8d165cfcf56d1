-- name: sys-execute-status
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

local a, b, c = os.execute("true")
print(a and "ESCAPED: os.execute ran" or "CONTAINED")
