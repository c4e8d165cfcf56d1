"""Two VMs at once: nothing of one is in the other's reach; and a busy VM that is stopped and continued."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bxrun import Bioxen
from hostview import NAMESPACES
from waiting import SLOW, scaled, wait_for


@pytest.mark.root
def test_nothing_is_shared(bx: Bioxen, profile: str) -> None:
    with bx.busy(profile=profile) as one, bx.busy(profile=profile) as two:
        first, second = one.vm, two.vm
        for kind in NAMESPACES:
            assert first.namespace(kind) != second.namespace(kind), kind
        assert first.status()["Uid"] != second.status()["Uid"]
        pipes = [{target for target in vm.descriptors().values() if target != "/dev/null"} for vm in (first, second)]
        assert not pipes[0] & pipes[1]
        starts = [(vm.proc / "maps").read_text().split("-")[0] for vm in (first, second)]
        assert starts[0] != starts[1]


@pytest.mark.root
def test_groups_are_not_shared(bx: Bioxen) -> None:
    with bx.busy() as one, bx.busy() as two:
        assert (one.vm.proc / "cgroup").read_text() != (two.vm.proc / "cgroup").read_text()


def test_tmp_is_not_shared(bx_any: Bioxen) -> None:
    code = "local f = io.open('/tmp/mark') print(f and 'ESCAPED' or 'clean') io.open('/tmp/mark', 'w'):write('x'):close() while true do end"
    running = [bx_any.start("run", "--profile", "full", "-e", code) for _ in range(2)]
    try:
        for one in running:
            one.wait_line(b"clean\n")
    finally:
        for one in running:
            one.cli.terminate()
            one.finish()


@pytest.mark.probe
def test_a_vm_cannot_signal_its_neighbour(bx: Bioxen, profile: str) -> None:
    with bx.busy(profile=profile) as other:
        code = f'local p = require "native_probe" print(p.call(62, {other.vm.pid}, 0), p.call(62, -1, 0), p.call(234, {other.vm.pid}, {other.vm.pid}, 0))'
        result = bx.eval(code, "--profile", profile)
        assert result.out == b"-1\t-1\t-1\n", result
        assert other.one("bioxen-vm") is not None


def test_one_that_dies_leaves_the_other_alone(bx_any: Bioxen) -> None:
    with bx_any.busy(code="local t = os.clock() while os.clock() - t < 1 do end print('finished')") as one:
        for code in ("error('x')", "local t = {} while true do t = {t} end", "while true do print('flood') end"):
            bx_any.eval(code, "--memory", "8MiB", "--output-limit", "10K", "--timeout", "300ms")
        result = one.finish()
        assert (result.status, result.out) == (0, b"finished\n")


@pytest.mark.root
def test_stop_and_continue_while_busy(bx: Bioxen, profile: str) -> None:
    code = "local s = 0 for i = 1, 3e7 do s = s + i % 7 end print('sum', s)"
    with bx.busy(profile=profile, code=code) as running:
        vm = running.vm
        for _ in range(3):
            os.kill(vm.pid, signal.SIGSTOP)
            wait_for(lambda: " T " in (vm.proc / "stat").read_text(), 2, "a stopped VM")
            os.kill(vm.pid, signal.SIGCONT)
            time.sleep(0.01)
        result = running.finish(30)
        assert result.status == 0 and b"sum\t" in result.out, result


@pytest.mark.root
def test_stop_and_continue_while_it_waits_for_its_reader(bx: Bioxen, profile: str) -> None:
    """Stopped and continued inside write(): restart_syscall must be allowed, or the call comes back wrong."""
    running = bx.start("run", "--profile", profile, "-e", "for i = 1, 20000 do print(('x'):rep(99)) end")
    vm = running.vm
    time.sleep(0.3)
    for _ in range(3):
        os.kill(vm.pid, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(vm.pid, signal.SIGCONT)
    result = running.finish(20)
    assert result.status == 0 and result.out == (b"x" * 99 + b"\n") * 20000


@pytest.mark.root
def test_timeout_fires_for_a_stopped_vm(bx: Bioxen) -> None:
    """A VM that is stopped (by whom ever) is ended on time all the same."""
    running = bx.start("run", "--timeout", scaled(600), "-e", "print('up') while true do end")
    running.wait_line()
    os.kill(running.vm.pid, signal.SIGSTOP)
    begin = time.monotonic()
    assert running.finish(5).status == 124
    assert time.monotonic() - begin < 1.5 * SLOW


def test_kill_from_outside_is_told_apart(bx_any: Bioxen) -> None:
    """Somebody kills the VM process: no timeout, no memory, no crash of the script's own making."""
    import json
    report = bx_any.work / "r.json"
    with bx_any.busy("--report", report) as running:
        os.kill(running.vm.pid, signal.SIGKILL)
        assert running.finish().status == 137
    record = json.loads(report.read_text())
    assert (record["outcome"], record["signal"]) == ("killed", signal.SIGKILL)
