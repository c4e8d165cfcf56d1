"""Nothing is left behind: after success, failure, and kill -9 of each process at any moment.

The `work` fixture of every test counts processes, control groups, mounts, sockets, shared memory and
temporary files afterwards; here the deaths are provoked.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import hostview
from bxrun import Bioxen, Running, close, end
from waiting import SLOW, scaled, wait_for

ROUNDS = int(os.environ.get("BIOXEN_TEST_KILLS", "60"))
TARGETS = ("bioxen", "bioxend", "bioxen-jailer", "bioxen-janitor", "bioxen-vm")


def names_below(pid: int) -> dict[str, int]:
    """Name -> pid of the CLI and its descendants, by the cheap way that catches short-lived states.

    What is below the jailer and has its name is no jailer: between clone and its first step a VM's process has it too."""
    found, todo = {"bioxen": pid}, [pid]
    while todo:
        current = todo.pop(0)
        try:
            children = Path(f"/proc/{current}/task/{current}/children").read_text().split()
            for child in map(int, children):
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name != "bioxen-jailer" or current == pid:
                    found.setdefault(name, child)
                todo.append(child)
        except OSError:
            continue
    return found


def kill_if_there(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill_when_there(running: Running, target: str) -> bool:
    """Kills the process of that name as soon as it exists; False when the run was over before."""
    end_time = time.monotonic() + 5 * SLOW
    while time.monotonic() < end_time:
        pid = running.cli.pid if target == "bioxen" else names_below(running.cli.pid).get(target)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
                return True
            except ProcessLookupError:
                return False
        if running.cli.poll() is not None:
            return False
    raise AssertionError(f"{target} was never there")


def wait_or_kill(running: Running, target: str) -> None:
    try:
        running.cli.wait(timeout=5 * SLOW)
    except subprocess.TimeoutExpired:
        running.cli.kill()
        running.cli.wait()
        raise AssertionError(f"bioxen did not end within 5 s after kill -9 of {target}")


def expect_end(running: Running, target: str) -> None:
    wait_or_kill(running, target)
    message = running.cli.stderr.read().decode("utf-8", "replace") if running.cli.stderr else ""
    status = running.cli.returncode
    for stream in (running.cli.stdout, running.cli.stderr):
        close(stream)
    if target == "bioxen":
        assert status == -signal.SIGKILL
    elif target == "bioxen-vm":
        assert status in (125, 137), (status, message)
        assert message.strip()
    else:
        assert status == 125, (target, status, message)
        assert message.startswith("bioxen: ") and len(message.splitlines()) <= 3, message


@pytest.mark.parametrize("target", TARGETS)
def test_kill_while_starting(bx_any: Bioxen, target: str) -> None:
    """kill -9 at random moments of the first 10 ms."""
    before = hostview.host_state()
    dice = random.Random(f"{target} {os.getpid()} {time.time()}")
    for _ in range(ROUNDS):
        running = bx_any.start("run", "--timeout", "20s", "-e", "while true do end")
        pause = time.monotonic() + dice.uniform(0, 0.010)
        while time.monotonic() < pause:
            pass
        kill_when_there(running, target)
        expect_end(running, target)
        hostview.assert_nothing_left(before, bx_any.scratch)


@pytest.mark.parametrize("target", TARGETS)
def test_kill_while_busy(bx_any: Bioxen, profile: str, target: str) -> None:
    before = hostview.host_state()
    for code in ("while true do end", "while true do print(('x'):rep(1000)) end"):
        running = bx_any.start("run", "--profile", profile, "--timeout", "20s", "--output-limit", "1GiB", "-e", "print('up') " + code)
        running.wait_line()
        assert kill_when_there(running, target)
        if running.cli.stdout:  # a reader that goes on reading, so that nothing waits for it
            reader = running.cli.stdout
            while reader.read(1 << 16):
                pass
        expect_end(running, target)
        hostview.assert_nothing_left(before, bx_any.scratch)


@pytest.mark.parametrize("target", TARGETS)
def test_kill_while_ending(bx: Bioxen, target: str) -> None:
    """A run of a few milliseconds, hit at a random moment of its whole life, its end included."""
    before = hostview.host_state()
    dice = random.Random()
    for _ in range(ROUNDS):
        running = bx.start("run", "-e", "print(1)")
        pause = time.monotonic() + dice.uniform(0, 0.025)
        while time.monotonic() < pause:
            pass
        pid = names_below(running.cli.pid).get(target)
        if pid is not None:
            kill_if_there(pid)
        wait_or_kill(running, target)
        assert running.cli.returncode in (0, 125, 137, -9)
        for stream in (running.cli.stdout, running.cli.stderr):
            close(stream)
        hostview.assert_nothing_left(before, bx.scratch)


@pytest.mark.parametrize("pair", [("bioxen", "bioxend"), ("bioxend", "bioxen-jailer"), ("bioxen-jailer", "bioxend"), ("bioxen-janitor", "bioxen"),
                                  ("bioxen", "bioxen-jailer"), ("bioxen-vm", "bioxend"), ("bioxen-janitor", "bioxend")], ids="+".join)
def test_kill_two_at_once(bx_any: Bioxen, pair: tuple[str, str]) -> None:
    """Each pair but the two that clean up for each other (jailer and janitor)."""
    before = hostview.host_state()
    for _ in range(5):
        running = bx_any.start("run", "--timeout", "20s", "-e", "print('up') while true do end")
        running.wait_line()
        names = names_below(running.cli.pid)
        for target in pair:
            kill_if_there(names[target])
        wait_or_kill(running, str(pair))
        for stream in (running.cli.stdout, running.cli.stderr):
            close(stream)
        hostview.assert_nothing_left(before, bx_any.scratch)


def test_kill_everybody_at_once(bx_any: Bioxen) -> None:
    """All killed in one stroke: the VM dies with its parent, and the next start sweeps what is left."""
    before = hostview.host_state()
    for _ in range(5):
        running = bx_any.start("run", "--timeout", "20s", "-e", "print('up') while true do end")
        running.wait_line()
        names = names_below(running.cli.pid)
        assert set(TARGETS) <= set(names), names
        victims = [names[name] for name in TARGETS if name != "bioxen-vm"]
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        running.cli.wait(timeout=5 * SLOW)
        for stream in (running.cli.stdout, running.cli.stderr):
            close(stream)
        wait_for(lambda: not hostview.alive(names["bioxen-vm"]) and not hostview.adopted(), 3, "the end of the orphaned VM")
        assert bx_any.eval("print(1)").status == 0
        hostview.assert_nothing_left(before, bx_any.scratch)


def test_vm_dies_with_the_jailer_even_when_nobody_cleans(bx_any: Bioxen) -> None:
    """PDEATHSIG by itself: with janitor and bioxend stopped, the jailer's death alone ends the VM."""
    running = bx_any.start("run", "--timeout", "20s", "-e", "print('up') while true do end")
    running.wait_line()
    names = names_below(running.cli.pid)
    try:
        os.kill(names["bioxen-janitor"], signal.SIGSTOP)
        os.kill(names["bioxend"], signal.SIGSTOP)
        os.kill(names["bioxen-jailer"], signal.SIGKILL)
        wait_for(lambda: not hostview.alive(names["bioxen-vm"]), 2, "the end of the VM by its parent's death")
    finally:
        for name in ("bioxen-janitor", "bioxend"):
            try:
                os.kill(names[name], signal.SIGCONT)
            except ProcessLookupError:
                pass
        end(running.cli)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGPIPE", "SIGALRM", "SIGSEGV"])
@pytest.mark.parametrize("target", ["bioxend", "bioxen-jailer", "bioxen-janitor"])
def test_other_signals_to_the_helpers(bx: Bioxen, target: str, name: str) -> None:
    """Whatever a signal does to a helper, the whole ends cleanly or goes on."""
    running = bx.start("run", "--timeout", scaled(700), "-e", "print('up') while true do end")
    running.wait_line()
    os.kill(names_below(running.cli.pid)[target], getattr(signal, name))
    result = running.finish()
    assert result.status in (124, 125, 137, 143), result


@pytest.mark.parametrize("target", ["bioxend", "bioxen-jailer", "bioxen-janitor", "bioxen-vm"])
def test_a_stopped_helper(bx: Bioxen, target: str) -> None:
    """SIGSTOP of a helper for a while is survived: after SIGCONT the timeout still ends everything."""
    running = bx.start("run", "--timeout", scaled(500), "-e", "print('up') while true do end")
    running.wait_line()
    pid = names_below(running.cli.pid)[target]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.8)
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass
    assert running.finish().status in (124, 125)


@pytest.mark.parametrize("code, options", [
    ("print(1)", ()), ("error('x')", ()), ("x = = 1", ()), ("os.exit(3)", ()), ("while true do end", ("--timeout", "100ms")),
    ("while true do print('x') end", ("--output-limit", "1000")), ("local s = ('x'):rep(1 << 40)", ()),
])
def test_after_an_ordinary_end_nothing_is_left_at_once(bx_any: Bioxen, code: str, options: tuple[str, ...]) -> None:
    """When `run` returns, its helpers are gone and reaped: nobody else has to wait for them or sees zombies."""
    result = bx_any.eval(code, *options)
    orphans = hostview.orphans()
    cgroups = [d for d in hostview.cgroup_directories() if not hostview.instance_is_alive(d)]
    assert result.report and not orphans and not cgroups, (orphans, cgroups)


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_the_cli_at_any_moment(bx_any: Bioxen, name: str, status: int) -> None:
    """From the first instruction on: either the signal's default action, or its exit status; and a clean host."""
    before = hostview.host_state()
    dice = random.Random()
    for _ in range(ROUNDS):
        running = bx_any.start("run", "--timeout", "20s", "-e", "while true do end")
        pause = time.monotonic() + dice.uniform(0, 0.030)
        while time.monotonic() < pause:
            pass
        running.cli.send_signal(getattr(signal, name))
        wait_or_kill(running, f"(not at all: {name} to the CLI)")
        assert running.cli.returncode in (status, -getattr(signal, name)), running.cli.returncode
        for stream in (running.cli.stdout, running.cli.stderr):
            close(stream)
        hostview.assert_nothing_left(before, bx_any.scratch)


@pytest.mark.root
def test_network_namespaces_do_not_pile_up(bx: Bioxen) -> None:
    def count() -> int:
        match = re.search(r"^net_namespace\s+(\d+)", Path("/proc/slabinfo").read_text(), re.M)
        return int(match.group(1)) if match else -1

    if not os.path.exists("/proc/slabinfo") or count() < 0:
        pytest.skip("this kernel does not count network namespaces in /proc/slabinfo")
    before = count()
    for _ in range(100):
        bx.eval("print(1)", report=False)
    wait_for(lambda: count() <= before + 30, 10, f"network namespaces back to about {before}")


def test_descriptors_of_the_caller(bx: Bioxen) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bx.eval("print(1)")
    assert set(os.listdir("/proc/self/fd")) == before


def test_fork_bomb_of_starts(bx_any: Bioxen) -> None:
    """Twenty at once, all killed in the middle."""
    before = hostview.host_state()
    running = [bx_any.start("run", "-e", "while true do end") for _ in range(20)]
    time.sleep(0.05)
    for one in running:
        one.cli.kill()
    for one in running:
        one.cli.wait(timeout=5 * SLOW)
        for stream in (one.cli.stdout, one.cli.stderr):
            close(stream)
    hostview.assert_nothing_left(before, bx_any.scratch, 10)


def test_full_scratch_disk(bx: Bioxen) -> None:
    """TMPDIR on a full disk: a run needs none, or says so."""
    if os.getuid() != 0:
        pytest.skip("needs root to mount a small tmpfs")
    script = ("mount -t tmpfs -o size=4096 none \"$1\" && head -c 4096 /dev/zero > \"$1/fill\"; TMPDIR=$1 exec \"$2\" run -e 'print(1)'")
    small = bx.work / "small"
    small.mkdir()
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", small, bx.program],
                          capture_output=True, timeout=20 * SLOW)
    assert (done.returncode, done.stdout) == (0, b"1\n") or (done.returncode == 125 and done.stderr), done


def test_report_on_a_full_disk(bx: Bioxen) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to mount a small tmpfs")
    script = ("mount -t tmpfs -o size=4096 none \"$1\" && head -c 4096 /dev/zero > \"$1/fill\"; "
              "\"$2\" run --report \"$1/r.json\" -e 'print(1)'; echo status $?; ls \"$1\"")
    small = bx.work / "small"
    small.mkdir()
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", small, bx.program],
                          capture_output=True, timeout=20 * SLOW)
    assert b"status 125" in done.stdout and b"No space left" in done.stderr, done
