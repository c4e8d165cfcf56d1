-- name: sys-execute-available
-- class: syscall
-- profile: full
-- expect: denied
-- accept: killed signal

print(os.execute() and "ESCAPED: a shell is available" or "CONTAINED")
