"""bioxen doctor: what it says, and that what it says is true, on this host and on hosts that lack something.

A host that lacks something is made by a user namespace with a limit of its own, or by a syscall filter on
the caller, as containers have them.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import pty
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Sequence

import pytest

from bxrun import Bioxen
from waiting import SLOW, wait_for

REQUIRED = {"proc", "null", "userns", "uid-map", "mount-ns", "pid-ns", "net-ns", "ipc-ns", "uts-ns", "cgroup-ns", "root", "clone3",
            "pidfd", "close-range", "execveat", "pdeathsig", "seccomp"}
OTHERS = {"scratch", "bind", "cpu-timer", "cgroup-memory", "cgroup-cpu", "cgroup-pids", "veth", "nftables", "conntrack", "tbf",
          "netem"}
NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]
CHECK_OF = {"user": "userns", "mnt": "mount-ns"}


def doctor(bx: Bioxen, prefix: Sequence[Any] = (), preexec: Callable[[], None] | None = None,
           seconds: float = 60) -> tuple[int, dict[str, Any]]:
    """The exit status and what --json says, of a doctor that is started by `prefix`."""
    done = subprocess.run([*prefix, *bx.command("doctor", "--json")], capture_output=True, env=bx.environment(None),
                          cwd=bx.work, preexec_fn=preexec, timeout=seconds * SLOW, stdin=subprocess.DEVNULL)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def check(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in found["checks"] if c["id"] == name)


def broken(found: dict[str, Any]) -> list[str]:
    return [c["id"] for c in found["checks"] if c["required"] and c["status"] == "missing"]


# ---- the shape of what it says ----

def test_every_finding_is_whole(bx_any: Bioxen) -> None:
    status, found = doctor(bx_any)
    assert set(found) == {"ok", "privileged", "kernel", "checks"}
    assert found["kernel"] == platform.release()
    ids = [c["id"] for c in found["checks"]]
    assert len(ids) == len(set(ids))
    assert REQUIRED | OTHERS <= set(ids)
    for c in found["checks"]:
        assert set(c) == {"id", "title", "status", "needed_by", "required", "note", "cause", "fix"}
        assert c["status"] in ("ok", "degraded", "missing") and c["title"] and c["needed_by"]
        assert (c["cause"] is None) == (c["status"] == "ok"), c
        assert c["status"] != "ok" or c["fix"] is None
    assert REQUIRED <= {c["id"] for c in found["checks"] if c["required"]}
    assert found["ok"] == (not broken(found))
    assert status == (0 if found["ok"] else 1)


def test_it_says_what_run_does(bx_any: Bioxen) -> None:
    _, found = doctor(bx_any)
    result = bx_any.eval("print(1)")
    assert (result.status == 0) == found["ok"], result


def test_text_is_aligned_and_plain_in_a_pipe(bx_any: Bioxen) -> None:
    result = bx_any.call("doctor", deadline=60)
    lines = result.text.splitlines()
    rows = [line for line in lines if line.startswith(("ok ", "degraded ", "missing "))]
    assert len(rows) >= len(REQUIRED | OTHERS)
    assert all(row[8:10] == "  " and row[10] != " " for row in rows)
    assert "\033" not in result.text
    assert lines[-1] == ("'bioxen run' works here." if result.status == 0 else "'bioxen run' does not work here.")
    for line in lines:
        assert not line.startswith("  why: ") or len(line) > len("  why: ")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colour_on_a_terminal_only_without_no_color(bx: Bioxen, no_color: str) -> None:
    master, slave = pty.openpty()
    env = bx.environment({"NO_COLOR": no_color})
    child = subprocess.Popen(bx.command("doctor"), stdout=slave, stderr=slave, stdin=slave, env=env, cwd=bx.work)
    os.close(slave)
    text = b""
    try:
        while True:
            text += os.read(master, 65536)
    except OSError:
        pass
    os.close(master)
    child.wait()
    assert (b"\033[" in text) == (no_color == "")


def test_wrong_usage(bx: Bioxen) -> None:
    for args in (["x"], ["--jsn"], ["--json=1"]):
        result = bx.call("doctor", *args)
        assert (result.status, result.out) == (2, b"")
        assert result.errors.startswith("bioxen: ")


def test_help(bx: Bioxen) -> None:
    result = bx.call("doctor", "--help")
    assert result.status == 0 and "--json" in result.text


def test_output_that_cannot_be_written(bx: Bioxen) -> None:
    for args in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            result = bx.call("doctor", *args, stdout=full)
        assert result.status == 125 and result.errors.startswith("bioxen: ")


# ---- hosts that lack something ----

def namespace_limit(kind: str, number: int) -> list[str]:
    """The command of a user namespace in which a limit is set and no capability is left."""
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("unshare or setpriv (util-linux) is missing")
    script = f'echo {number} > /proc/sys/user/max_{kind}_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    # Not uid 0: a root without capabilities may not even map itself.
    line = ["unshare", "--user", "--map-user=1234", "--map-group=1234", "--keep-caps", "sh", "-c", script, "sh"]
    if subprocess.run([*line, "true"], capture_output=True).returncode != 0:
        pytest.skip("this host makes no such user namespace")
    return line


@pytest.mark.parametrize("kind", NAMESPACES)
def test_no_namespaces_of_a_kind(bx: Bioxen, kind: str) -> None:
    status, found = doctor(bx, namespace_limit(kind, 0))
    name = CHECK_OF.get(kind, f"{kind}-ns")
    bad = check(found, name)
    assert status == 1 and not found["ok"] and not found["privileged"]
    assert bad["status"] == "missing"
    assert bad["cause"].startswith(f"user.max_{kind}_namespaces=0")
    assert bad["fix"] == f"sudo sysctl -w user.max_{kind}_namespaces=15000"
    result = subprocess.run([*namespace_limit(kind, 0), *bx.command("run", "-e", "print(1)")], capture_output=True)
    assert (result.returncode, result.stdout) == (125, b"")


BPF_LOAD, BPF_JEQ, BPF_RET = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO, RET_NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
CALLS = {"unshare": 272, "clone3": 435, "close_range": 436, "pidfd_open": 434, "pivot_root": 155, "mount": 165}


def install_filter(calls: Sequence[str], answer: int, listen: bool = False) -> int:
    """A syscall filter on this process, by which `calls` get `answer`."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = [struct.pack("HBBI", BPF_LOAD, 0, 0, 0)]
    for i, call in enumerate(calls):
        program.append(struct.pack("HBBI", BPF_JEQ, len(calls) - i, 0, CALLS[call]))
    program += [struct.pack("HBBI", BPF_RET, 0, 0, RET_ALLOW), struct.pack("HBBI", BPF_RET, 0, 0, answer)]
    code = ctypes.create_string_buffer(b"".join(program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return int(libc.syscall(317, 1, 8 if listen else 0, fprog))  # seccomp(SECCOMP_SET_MODE_FILTER, NEW_LISTENER)


only_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter's numbers are those of x86-64")


@only_x86
@pytest.mark.parametrize("call, name, errno", [("clone3", "clone3", 38), ("close_range", "close-range", 1),
                                               ("pidfd_open", "pidfd", 38), ("pivot_root", "root", 1),
                                               ("mount", "root", 1)])
def test_a_container_that_refuses_a_call(bx: Bioxen, call: str, name: str, errno: int) -> None:
    status, found = doctor(bx, preexec=lambda: install_filter([call], RET_ERRNO | errno) and None)
    bad = check(found, name)
    assert status == 1 and bad["status"] == "missing"
    assert "a seccomp filter on this process" in bad["cause"]
    assert "seccomp=unconfined" in bad["fix"]


def take_descriptor(pid: int, number: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    fd = int(libc.syscall(438, pidfd, number, 0))  # pidfd_getfd
    os.close(pidfd)
    return fd


@only_x86
@pytest.mark.root
def test_a_trial_that_hangs_is_killed_and_reported(bx: Bioxen) -> None:
    """pivot_root waits for an answer that never comes."""
    line = [bx.program, "doctor", "--json"]
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()

    def prepare() -> None:
        listener = install_filter(["pivot_root"], RET_NOTIFY, listen=True)
        os.write(ready_write, bytes([listener]))
        os.read(go_read, 1)
        os.close(listener)

    # Popen returns after exec only, so the listener is taken by a helper that knows the child from the pipe.
    child = os.fork()
    if child == 0:
        out = os.open(bx.work / "out.json", os.O_WRONLY | os.O_CREAT, 0o644)
        os.dup2(out, 1)
        prepare()
        os.execv(line[0], [str(part) for part in line])
    listener = take_descriptor(child, os.read(ready_read, 1)[0])
    assert listener >= 0
    begin = time.monotonic()
    os.write(go_write, b"x")
    for fd in (ready_read, ready_write, go_read, go_write):
        os.close(fd)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begin
    os.close(listener)
    found = json.loads((bx.work / "out.json").read_text())
    (bx.work / "out.json").unlink()
    assert os.waitstatus_to_exitcode(status) == 1
    assert "Connection timed out" in check(found, "root")["cause"]
    assert seconds < 30 * SLOW
    assert check(found, "uts-ns")["status"] == "ok"  # the others were tried all the same


@pytest.mark.root
@pytest.mark.skipif("BIOXEN_SANITIZE" in os.environ, reason="the sanitizers' run-time library needs /proc itself")
def test_without_proc(bx: Bioxen) -> None:
    line = ["unshare", "--mount", "sh", "-c", 'umount -l /proc && exec "$@"', "sh", *bx.command("doctor")]
    result = subprocess.run(line, capture_output=True, timeout=60 * SLOW)
    assert (result.returncode, result.stdout) == (125, b"")
    assert b"/proc" in result.stderr


@pytest.mark.root
@pytest.mark.parametrize("command, words", [("true", "cannot be opened"), ("touch /dev/null", "is not the kernel's null device")])
def test_without_the_null_device(bx: Bioxen, command: str, words: str) -> None:
    script = f'mount -t tmpfs none /dev && {command} && exec "$@" --json'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *bx.command("doctor")], capture_output=True,
                            timeout=60 * SLOW)
    bad = check(json.loads(result.stdout), "null")
    assert result.returncode == 1 and bad["status"] == "missing" and words in bad["cause"]
    assert bad["fix"] == "sudo sh -c 'rm -f /dev/null && mknod -m 666 /dev/null c 1 3'"


def test_a_missing_program_is_said(bx: Bioxen) -> None:
    for name in ("bioxen", "bioxend", "bioxen-jailer"):
        shutil.copy(bx.program.parent / name, bx.work / name)
    result = subprocess.run([bx.work / "bioxen", "doctor", "--json"], capture_output=True, timeout=60 * SLOW)
    bad = check(json.loads(result.stdout), "execveat")
    assert result.returncode == 1 and "bioxen-vm" in bad["cause"] and bad["fix"]
    (bx.work / "bioxen-jailer").unlink()
    result = subprocess.run([bx.work / "bioxen", "doctor"], capture_output=True, timeout=60 * SLOW)
    assert (result.returncode, result.stdout) == (125, b"") and result.stderr.startswith(b"bioxen: ")


# ---- nothing is left (the fixture looks) ----

def test_killed_at_any_moment_leaves_nothing(bx_any: Bioxen) -> None:
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1):
        running = bx_any.start("doctor")
        time.sleep(delay)
        running.cli.kill()
        running.finish()


def test_a_dead_jailer_is_said(bx: Bioxen) -> None:
    running = bx.start("doctor")
    try:
        jailer = wait_for(lambda: running.one("bioxen-jailer"), 5, "the doctor's jailer")
        os.kill(jailer.pid, 9)
        result = running.finish()
    finally:
        running.cli.kill()
    assert result.status in (125, 0, 1)  # it may have said all before
    assert result.status != 125 or "bioxen: doctor: " in result.errors


def test_two_at_once(bx: Bioxen) -> None:
    runs = [bx.start("doctor") for _ in range(2)]
    assert [r.finish(60).status for r in runs] == [r.cli.returncode for r in runs]
    assert len({r.cli.returncode for r in runs}) == 1


def test_the_network_of_the_host_is_not_touched(bx: Bioxen) -> None:
    before = Path("/proc/net/dev").read_text().count("\n")
    bx.call("doctor", deadline=60)
    assert Path("/proc/net/dev").read_text().count("\n") == before
