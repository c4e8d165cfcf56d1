"""The syscall filter, judged as if the script were native code in the VM process.

Each row of the list of attacks is one test: every call must be refused by the filter (EPERM, or ENOSYS where
the C library has a fallback) or end the VM; any other answer says that the kernel's function was entered.
"""

from __future__ import annotations

import platform
import signal

import pytest

from bxrun import Bioxen
from native import CALLS, PRELUDE, REFUSALS, Call, attempt, not_refused, plain
from waiting import SLOW

pytestmark = [pytest.mark.probe, pytest.mark.skipif(platform.machine() != "x86_64", reason="the call numbers are those of x86-64")]

MINUS = -1


def each(*names: str) -> list[Call]:
    return [plain(name) for name in names]


def variants(name: str, *arguments: tuple[int, ...]) -> list[Call]:
    return [plain(name, *args) for args in arguments]


NEW = [1 << n for n in (17, 25, 26, 27, 28, 29, 30)]  # CLONE_NEWNS .. CLONE_NEWNET

ROWS: dict[str, list[Call]] = {
    "01 debug another process": [*variants("ptrace", (16, 1), (0x4206, 1)), *each("process_vm_readv", "process_vm_writev", "kcmp")],
    "02 PTRACE_TRACEME": variants("ptrace", (0,)),
    "03 descriptors of others": [*variants("pidfd_open", (1, 0), (1, 0x800)), *each("pidfd_getfd", "pidfd_send_signal", "process_madvise", "process_mrelease")],
    "04 signals": [*variants("kill", (1, 0), (0, 0), (-1, 0), (2, 9)), *variants("tkill", (1, 0), (2, 0)), *variants("tgkill", (2, 2, 0), (-1, 1, 0), (3, 1, 9)),
                   *each("rt_sigqueueinfo", "rt_tgsigqueueinfo")],
    "05 io_uring": [*variants("io_uring_setup", (8, 0)), *each("io_uring_enter", "io_uring_register")],
    "06 bpf, perf, userfaultfd": [*variants("bpf", (0, 0, 0), (5, 0, 0)), *each("perf_event_open"), *variants("userfaultfd", (0,), (1,))],
    "07 new programs": [*each("execve", "execveat", "memfd_create", "uselib"), Call("execve sh", f'p.call({CALLS["execve"]}, "/bin/sh\\0", 0, 0)'),
                        Call("execveat empty", f'p.call({CALLS["execveat"]}, 3, "\\0", 0, 0, 0x1000)'), Call("memfd", f'p.call({CALLS["memfd_create"]}, "x\\0", 0)')],
    "08 new processes": [*each("fork", "vfork", "clone3"), *variants("clone", (17,), (0x11200,), (0x3d0f00,), (0x100,), (0x4111,)), Call("clone3 88", f'p.call({CALLS["clone3"]}, ("\\0"):rep(88), 88)')],
    "09 new namespaces": [*variants("unshare", *((flag,) for flag in NEW), (0x7E020000,)), *variants("clone", *((flag | 17,) for flag in NEW)), *variants("setns", (3, 0), (0, 0))],
    "10 mounts": each("mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
                      "open_tree_attr", "statmount", "listmount", "listns"),
    "11 file handles": each("name_to_handle_at", "open_by_handle_at"),
    "12 keyrings": [*each("add_key", "request_key"), *variants("keyctl", (0, -3), (1, 0), (11, -4), (22, 1))],
    "13 filter games": [*variants("seccomp", (0,), (1, 0), (1, 8), (2, 0), (3, 0)), *variants("prctl", (22, 1), (22, 2), (21,)),
                        *each("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")],
    "14 process settings": [*variants("prctl", (4, 0), (4, 1), (3,), (0x59616D61, 1), (0x59616D61, -1), (35, 1), (47, 2, 0), (8, 1), (1, 0), (36, 1), (26, 2), (15, 0), (38, 0),
                                     (28, 0), (40, 0), (53, 0), (62, 0), (23, 21), (24, 21)),
                            *variants("arch_prctl", (0x1002, 0), (0x1001, 0), (0x1003, 0), (0x1012, 0), (0x5001, 0)), *variants("personality", (0xFFFFFFFF,), (0x40000,), (0x400000,), (8,))],
    "15 x86 oddities": [*variants("modify_ldt", (0, 0, 0), (1, 0, 16)), *variants("iopl", (3,)), *variants("ioperm", (0, 1, 1)), *each("map_shadow_stack", "set_thread_area")],
    "16 kernel and machine": each("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "syslog",
                                  "quotactl", "quotactl_fd", "sysfs", "ustat", "lookup_dcookie", "nfsservctl", "vhangup", "sync", "syncfs"),
    "17 clocks and names": each("settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname"),
    "18 credentials": each("setuid", "setgid", "setreuid", "setregid", "setgroups", "setresuid", "setresgid", "setfsuid", "setfsgid", "capset", "setsid", "setpgid"),
    "19 limits and scheduling": [*each("setrlimit", "setpriority", "sched_setscheduler", "sched_setparam", "sched_setaffinity", "sched_setattr", "ioprio_set", "mbind", "set_mempolicy",
                                       "migrate_pages", "move_pages", "mlock", "mlockall", "mlock2", "membarrier"), *variants("prlimit64", (0, 7, 0, 0), (1, 7, 0, 0), (2, 7, 1, 0))],
    "20 System V and POSIX queues": each("shmget", "shmat", "semget", "msgget", "mq_open"),
    "21 pipe tricks": [*each("splice", "vmsplice", "tee", "pipe", "pipe2", "sendfile", "copy_file_range"), *variants("fcntl", (1, 1031, 1 << 20), (1, 1032))],
    "22 watching others": [*each("inotify_init", "inotify_init1", "fanotify_init", "fanotify_mark"), *variants("flock", (0, 2), (3, 6)),
                           *variants("fcntl", (0, 1026, 0), (0, 1024, 0), (0, 6, 0), (0, 7, 0), (0, 37, 0), (0, 38, 0), (0, 5, 0), (3, 8, 1), (3, 10, 9), (3, 15, 0), (1, 1033, 1), (3, 0, 10), (3, 1030, 10))],
    "23 device nodes": [Call("mknod fifo", f'p.call({CALLS["mknod"]}, "/tmp/f\\0", 4534)'), *each("mknod", "mknodat")],
    "24 terminal input": variants("ioctl", *((fd, command) for fd in (0, 1, 3) for command in (0x5412, 0x541C, 0x540E, 0x5423, 0x100005412, 0x10000541C, 0x8901, 0x5441, 0x894C, 0xC0045877, 0x40086602))),
    "25 writable and executable memory": [*variants("mmap", (0, 4096, 7, 0x22, -1, 0), (0, 4096, 5, 0x22, -1, 0), (0, 4096, 4, 0x22, -1, 0), (0, 2 << 20, 3, 0x40022, -1, 0), (0, 4096, 5, 2, 0, 0)),
                                          *[Call(f"{name} {prot}", f'p.call({CALLS[name]}, p.address(p.buffer(8192)) & ~4095, 4096, {prot}{extra})')
                                            for name, extra in (("mprotect", ""), ("pkey_mprotect", ", 0")) for prot in (4, 5, 7)],
                                          *each("pkey_alloc", "remap_file_pages", "memfd_secret", "mseal")],
    "26 socket families": [*variants("socket", *((family, kind, 0) for family in (1, 2, 10, 16, 17, 40, 38, 44, 15, 31, 29, 30, 21, 4, 9, 45) for kind in (1, 2, 3, 5)),
                                     (2, 1, 262), (2, 1, 132), (2, 2, 1), (2, 0x80001, 6)),
                           *variants("socketpair", (1, 1, 0), (1, 5, 0)), *each("connect", "bind", "listen")],
    "27 socket options": [*variants("setsockopt", (3, 6, 31, 0, 0), (3, 0, 64, 0, 0), (3, 283, 1, 0, 0), (3, 1, 26, 0, 0), (3, 1, 50, 0, 0), (3, 1, 36, 0, 0), (3, 1, 25, 0, 0), (3, 1, 16, 0, 4))],
    "28 futex": [*variants("futex", (0, 6, 0, 0, 0, 0), (0, 7), (0, 8), (0, 11), (0, 12), (0, 13), (0, 3, 0, 0, 0, 0), (0, 4), (0, 5), (0, 9), (0, 10), (0, 2), (0, 140)), *each("futex_requeue", "futex_waitv", "futex_wait", "futex_wake")],
    "29 timers, aio, misc": each("timer_create", "io_setup", "io_submit", "eventfd", "eventfd2", "signalfd", "signalfd4", "timerfd_create", "rseq", "lsm_set_self_attr", "lsm_list_modules",
                                 "alarm", "setitimer", "set_robust_list", "get_robust_list", "epoll_create1"),
    "31 links and owners": each("symlink", "symlinkat", "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "setxattr", "fsetxattr", "chdir", "fchdir", "getxattr"),
    "32 newer doors to old rooms": [*each("openat2", "statx", "faccessat2", "close_range"), Call("close_range all", f'p.call({CALLS["close_range"]}, 3, 0xffffffff, 0)'),
                                    Call("openat2 root", f'p.call({CALLS["openat2"]}, -100, "/\\0", ("\\0"):rep(24), 24)')],
    "33 the machine's face": each("sysinfo", "getcpu", "mincore", "times", "uname"),
}


@pytest.mark.parametrize("row", ROWS)
def test_row(bx: Bioxen, profile: str, row: str) -> None:
    results = attempt(bx, profile, ROWS[row])
    assert len(results) == len(ROWS[row])
    bad = not_refused(results)
    assert not bad, bad


def test_stdio_hears_that_nothing_is_a_terminal(bx: Bioxen, profile: str) -> None:
    """TCGETS is what stdio asks of what it writes to: the filter's own answer, not the kernel's."""
    results = attempt(bx, profile, variants("ioctl", (1, 0x5401, 0), (1, 0x100005401, 0)))
    assert set(results.values()) <= {"ENOTTY", "EPERM"}, results


KILLED = ["ptrace", "bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "mount", "umount2", "pivot_root", "move_mount", "fsopen", "fsconfig", "fsmount",
          "open_tree", "mount_setattr", "add_key", "request_key", "keyctl", "unshare", "setns", "kexec_load", "init_module", "finit_module", "perf_event_open", "userfaultfd",
          "process_vm_readv", "process_vm_writev"]


def test_what_no_lua_reaches_by_accident_is_death_and_is_named(bx: Bioxen, profile: str) -> None:
    results = attempt(bx, profile, each(*KILLED))
    assert results == {name: f"killed: {name}" for name in KILLED}


@pytest.mark.parametrize("name", ["getpid", "write", "exit", "ptrace", "fork", "execve", "socketcall"])
def test_int_80_is_always_death(bx: Bioxen, profile: str, name: str) -> None:
    """The 32-bit entry has other numbers: 1 is exit there and write here."""
    number = {"getpid": 20, "write": 4, "exit": 1, "ptrace": 26, "fork": 2, "execve": 11, "socketcall": 102}[name]
    result = bx.eval(PRELUDE + f'show("x", p.call32({number}, 1, 0, 0)) print("ESCAPED")', "--profile", profile)
    assert result.record["outcome"] == "policy" and result.status == 159 and result.record["signal"] == signal.SIGSYS, result
    assert b"ESCAPED" not in result.out


@pytest.mark.parametrize("number", [0, 1, 9, 39, 56, 59, 101, 228, 512, 520, 545])
def test_x32_is_always_death(bx: Bioxen, profile: str, number: int) -> None:
    result = bx.eval(PRELUDE + f'show("x", p.callx32({number}, 1, 0, 0)) print("ESCAPED")', "--profile", profile)
    assert result.record["outcome"] == "policy" and result.status == 159, result
    assert b"ESCAPED" not in result.out


@pytest.mark.parametrize("number", [600, 1000, 0x7FFFFFFF, 0xFFFFFFFF, 471, 500])
def test_unknown_numbers_are_refused(bx: Bioxen, profile: str, number: int) -> None:
    results = attempt(bx, profile, [Call("x", f"p.call({number})")])
    assert results["x"] in REFUSALS or results["x"].startswith("killed")


@pytest.mark.parametrize("profile, most", [("restricted", 25), ("full", 60)])
def test_how_many_calls_are_reachable(bx: Bioxen, profile: str, most: int) -> None:
    """Counted by trying every number, once with zeros: refused by the filter, or reachable."""
    endings = {15: "rt_sigreturn", 60: "exit", 231: "exit_group", 34: "pause"}  # reachable or not, these end or hang the prober
    kernel_lets_pass = {335, 336}  # uretprobe and uprobe pass every filter on new kernels
    calls = [Call(str(n), f"p.call({n}, -1, 0, 0, 0, 0, 0)") for n in range(0, 471) if n not in endings and n not in kernel_lets_pass]
    calls = [Call(c.label, c.expression.replace("-1", "1")) if c.label in ("3", "7") else c for c in calls if c.label not in ("3", "7")]
    reachable = sorted(int(n) for n in not_refused(attempt(bx, profile, calls)))
    assert len(reachable) + len(endings) <= most, reachable
    assert 101 not in reachable and 41 not in reachable and 59 not in reachable


def test_tgkill_of_itself_is_allowed(bx: Bioxen, profile: str) -> None:
    """abort() needs it; without it the C library dies by SIGSEGV, which misreports the cause."""
    result = bx.eval('print(require("native_probe").call(234, 1, 1, 0))', "--profile", profile)
    assert result.out == b"0\n"


def test_descriptors_from_three_on(bx: Bioxen, profile: str) -> None:
    """Only the lifeline is open besides the three standard ones."""
    code = 'local p = require("native_probe") local t = {} for fd = 0, 2000 do local r = p.call(72, fd, 1) if r >= 0 then t[#t + 1] = fd end end print(table.concat(t, " "))'
    result = bx.eval(code, "--profile", profile)
    assert result.out in (b"0 1 2 3\n", b"\n"), result  # none at all where fcntl itself is refused


def test_traceme_is_not_taken_for_the_end(bx: Bioxen, profile: str) -> None:
    """PTRACE_TRACEME and then a stop: a supervisor that does not look closely takes it for the end."""
    code = 'local p = require("native_probe") p.call(101, 0, 0, 0, 0) p.raise(19) while true do end'
    result = bx.eval(code, "--profile", profile, "--timeout", "1s")
    assert result.record["outcome"] in ("policy", "timeout") and result.seconds < 2, result


@pytest.mark.parametrize("way, number, status", [("abort()", signal.SIGABRT, 134), ("segv()", signal.SIGSEGV, 139)])
def test_a_crash_shows_its_own_signal(bx_any: Bioxen, profile: str, way: str, number: int, status: int) -> None:
    result = bx_any.eval(f'require("native_probe").{way}', "--profile", profile)
    assert (result.record["outcome"], result.record["signal"], result.status) == ("crash", number, status), result


@pytest.mark.parametrize("number", [4, 7, 8, 11, 6])
def test_raised_signals(bx: Bioxen, profile: str, number: int) -> None:
    result = bx.eval(f'require("native_probe").raise({number})', "--profile", profile)
    assert (result.record["outcome"], result.record["signal"], result.status) == ("crash", number, 128 + number), result


@pytest.mark.parametrize("number", [1, 2, 3, 10, 13, 14, 15, 17, 20, 23, 31])
def test_ignored_or_deadly_signals_never_confuse_the_record(bx: Bioxen, number: int) -> None:
    """As pid 1 of its namespace a VM ignores what it has no handler for; SIGSYS raised by hand is no policy death of a call."""
    result = bx.eval(f'require("native_probe").raise({number}) print("went on")')
    assert result.status in (0, 128 + number, 159), result


def test_forged_last_words_do_not_change_the_verdict(bx: Bioxen, profile: str) -> None:
    """The lifeline belongs to the script as much as to the VM: what is written there is a liar's word."""
    code = """local p = require("native_probe")
    local function frame(kind, a, b, t1, t2) return ("<I4I4I8i8I4I4"):pack(0x314c5842, kind, a, b, #t1, #t2) .. t1 .. t2 end
    for _, f in ipairs{frame(66, 0, 0, "", ""), frame(66, 3, 0, "", ""), frame(67, 31, 101, "", ""), frame(99, 1, 2, "x", "y"), frame(64, 0, 0, "", ""),
        frame(66, 1, 1, ("m"):rep(9000), ("t"):rep(9000)), "garbage", "", ("<I4I4I8i8I4I4"):pack(0x314c5842, 66, 0, 0, 0xffffffff, 0xffffffff)} do
      p.call(1, 3, f, #f) end
    print("sent") while true do end"""
    result = bx.eval(code, "--profile", profile, "--timeout", "1s")
    assert result.seconds < 2 and result.status != 0, result
    assert result.record["outcome"] not in ("ok",), result


def test_flooding_the_lifeline(bx: Bioxen, profile: str) -> None:
    code = """local p = require("native_probe")
    local f = ("<I4I4I8i8I4I4"):pack(0x314c5842, 65, 0, 0, 5, 0) .. "a.b.c"
    while true do p.call(1, 3, f, #f) end"""
    result = bx.eval(code, "--profile", profile, "--timeout", "1s")
    assert result.seconds < 2 * SLOW and result.status in (124, 137), result


def test_closing_every_descriptor(bx: Bioxen, profile: str) -> None:
    """Without its lifeline and pipes the VM is still under its limits, and its end is still seen."""
    code = 'local p = require("native_probe") for fd = 0, 10 do p.call(3, fd) end while true do end'
    result = bx.eval(code, "--profile", profile, "--timeout", "700ms")
    assert result.seconds < 1.7 * SLOW and result.status in (124, 125, 137), result


def test_addresses_differ_between_vms(bx: Bioxen, profile: str) -> None:
    code = 'local p = require("native_probe") print(p.stack(), p.address("x"), tostring(print))'
    seen = [tuple(bx.eval(code, "--profile", profile).text.split("\t")) for _ in range(3)]
    for column in range(3):
        assert len({row[column] for row in seen}) == 3, seen
