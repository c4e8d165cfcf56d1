"""Raw system calls from inside a VM, through the native probe of the test build.

A call that the filter kills ends its VM; the rest of the list then goes on in a fresh one.
"""

from __future__ import annotations

from dataclasses import dataclass

from bxrun import Bioxen

REFUSALS = frozenset({"EPERM", "ENOSYS", "EAFNOSUPPORT"})

# Numbers of x86-64, as attacks_native.md of the corpus names them.
CALLS = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_open": 434, "pidfd_getfd": 438,
    "pidfd_send_signal": 424, "process_madvise": 440, "process_mrelease": 448, "kill": 62, "tkill": 200, "tgkill": 234,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "execve": 59, "execveat": 322, "memfd_create": 319, "uselib": 134,
    "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166,
    "pivot_root": 155, "chroot": 161, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "open_tree_attr": 467, "statmount": 457, "listmount": 458, "listns": 470,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "add_key": 248, "request_key": 249, "keyctl": 250, "seccomp": 317,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446, "prctl": 157, "arch_prctl": 158,
    "personality": 135, "modify_ldt": 154, "iopl": 172, "ioperm": 173, "map_shadow_stack": 453, "set_thread_area": 205,
    "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176, "reboot": 169,
    "swapon": 167, "swapoff": 168, "acct": 163, "syslog": 103, "quotactl": 179, "quotactl_fd": 443, "sysfs": 139, "ustat": 136,
    "lookup_dcookie": 212, "nfsservctl": 180, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sethostname": 170, "setdomainname": 171, "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116,
    "setresuid": 117, "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "capget": 125, "capset": 126, "setrlimit": 160,
    "prlimit64": 302, "setpriority": 141, "sched_setscheduler": 144, "sched_setparam": 142, "sched_setaffinity": 203,
    "sched_setattr": 314, "ioprio_set": 251, "mbind": 237, "set_mempolicy": 238, "migrate_pages": 256, "move_pages": 279,
    "mlock": 149, "mlockall": 151, "mlock2": 325, "membarrier": 324, "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68,
    "mq_open": 240, "splice": 275, "vmsplice": 278, "tee": 276, "pipe": 22, "pipe2": 293, "inotify_init": 253,
    "inotify_init1": 294, "fanotify_init": 300, "fanotify_mark": 301, "flock": 73, "mknod": 133, "mknodat": 259, "ioctl": 16,
    "fcntl": 72, "mmap": 9, "mprotect": 10, "pkey_mprotect": 329, "pkey_alloc": 330, "remap_file_pages": 216, "memfd_secret": 447,
    "mseal": 462, "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50, "sendmsg": 46, "sendto": 44,
    "setsockopt": 54, "getsockopt": 55, "recvfrom": 45, "futex": 202, "futex_requeue": 456, "futex_waitv": 449, "futex_wake": 454, "futex_wait": 455,
    "timer_create": 222, "io_setup": 206, "io_submit": 209, "eventfd": 284, "eventfd2": 290, "signalfd": 282, "signalfd4": 289,
    "timerfd_create": 283, "rseq": 334, "lsm_set_self_attr": 460, "lsm_list_modules": 461, "symlink": 88, "symlinkat": 266,
    "link": 86, "linkat": 265, "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "setxattr": 188, "fsetxattr": 190, "getxattr": 191, "chdir": 80, "fchdir": 81, "openat2": 437, "statx": 332,
    "faccessat2": 439, "close_range": 436, "epoll_create1": 291, "sync": 162, "syncfs": 306, "vhangup": 153, "setsid": 112,
    "setpgid": 109, "getppid": 110, "times": 100, "uname": 63, "sysinfo": 99, "getcpu": 309, "getdents64": 217, "readlink": 89,
    "mincore": 27, "copy_file_range": 326, "fallocate": 285, "sendfile": 40, "alarm": 37, "setitimer": 38,
    "pause": 34, "rt_sigaction": 13, "sigaltstack": 131, "set_tid_address": 218, "set_robust_list": 273, "get_robust_list": 274,
}

PRELUDE = 'local p = require "native_probe" local function show(label, r) if r < 0 then print(label, p.errname(-r)) else print(label, "ok " .. r) end end\n'


@dataclass(frozen=True)
class Call:
    """One call: a label that is unique in its list, and the Lua expression that makes it."""

    label: str
    expression: str


def plain(name: str, *args: int) -> Call:
    shown = "".join(f" {a:#x}" for a in args)
    return Call(name + shown, f"p.call({CALLS[name]}{''.join(f', {a}' for a in args)})")


def attempt(bx: Bioxen, profile: str, calls: list[Call], *options: str) -> dict[str, str]:
    """Label -> "EPERM", "ok 0", "killed: ptrace" (by the filter) or "died: ..." for every call."""
    results: dict[str, str] = {}
    todo = list(calls)
    while todo:
        code = PRELUDE + "\n".join(f'show("{c.label}", {c.expression})' for c in todo) + '\nprint("END", "all")'
        bx.write("calls.lua", code)
        result = bx.run("--profile", profile, *options, "--timeout", "10s", "calls.lua")
        lines = [line.split("\t") for line in result.text.splitlines() if "\t" in line]
        results.update({label: value for label, value in lines if label != "END"})
        if any(label == "END" for label, _ in lines):
            return results
        fatal = next(c for c in todo if c.label not in results)
        record = result.record
        cause = f"killed: {record['syscall']}" if record["outcome"] == "policy" else f"died: {result}"
        results[fatal.label] = cause
        todo = [c for c in todo if c.label not in results]
    return results


def not_refused(results: dict[str, str]) -> dict[str, str]:
    return {label: value for label, value in results.items() if value not in REFUSALS and not value.startswith("killed: ")}
