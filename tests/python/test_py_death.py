"""A VM that dies fails its pending calls at once, and says how it died: each cause is a real one."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hostview
from bxrun import REPOSITORY, USER_ID, build_directory, user_skip_reason
from pylua_bioxen_vm import (BioxenError, ConversionError, HostError, LuaError, LuaSyntaxError, SandboxViolation, VMDied,
                             VMExists, VMManager, VMMemoryError, VMNotFound, VMTimeoutError)
from waiting import SLOW

FOREVER = "while true do end"
LAST = "print('last words') local s = os.clock() while os.clock() - s < 0.5 do end os.exit(3)"


def test_exit_fails_what_waits(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    futures = [vm.submit("return 1"), vm.submit(LAST), vm.submit("return 2"), vm.submit("return 3")]
    assert futures[0].result(30 * SLOW) == 1
    for future in futures[1:]:
        with pytest.raises(VMDied) as caught:
            future.result(30 * SLOW)
        record = caught.value.record
        assert record is not None and (record.outcome, record.exit_code) == ("exit", 3)
    assert futures[1].exception().output == "last words\n"  # type: ignore[union-attr]
    with pytest.raises(VMDied):
        vm.execute("return 4")
    with pytest.raises(VMDied):
        vm.submit("return 4")
    assert vm.state == "ended"


def test_kill_fails_what_waits_at_once(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    futures = [vm.submit(FOREVER) for _ in range(5)]
    begin = time.monotonic()
    vm.kill()
    for future in futures:
        with pytest.raises(VMDied) as caught:
            future.result(30 * SLOW)
        assert caught.value.record is not None and caught.value.record.outcome == "killed"
    assert time.monotonic() - begin < 2 * SLOW


def test_killed_from_outside(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    future = vm.submit(FOREVER)
    victim = [p for p in hostview.descendants(os.getpid()) if p.name == "bioxen-vm"][0]
    if os.getuid() != 0:
        pytest.skip("the VM of an ordinary user is killed by its jailer only")
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(VMDied) as caught:
        future.result(30 * SLOW)
    assert caught.value.record is not None and caught.value.record.signal == signal.SIGKILL


def test_output_limit(manager: VMManager) -> None:
    vm = manager.create_vm("vm", output_limit="64KiB")
    with pytest.raises(VMDied) as caught:
        vm.execute("while true do print(('x'):rep(100)) end")
    assert caught.value.record is not None and caught.value.record.outcome == "output"
    assert caught.value.output.startswith("x" * 100)


def test_cpu_time(manager: VMManager) -> None:
    vm = manager.create_vm("vm", cpu_time="200ms")
    with pytest.raises(VMTimeoutError) as caught:
        vm.execute(FOREVER)
    assert caught.value.record is not None and caught.value.record.outcome == "cpu"


@pytest.mark.probe
def test_sandbox_violation(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    with pytest.raises(SandboxViolation) as caught:
        vm.execute("require('native_probe').call(101, 0)")
    assert caught.value.syscall == "ptrace" and isinstance(caught.value, VMDied)
    assert caught.value.record is not None and caught.value.record.outcome == "policy"
    with pytest.raises(SandboxViolation):
        vm.execute("return 1")


@pytest.mark.probe
@pytest.mark.root
def test_memory_of_native_code(manager: VMManager) -> None:
    vm = manager.create_vm("vm", memory="16MiB")
    with pytest.raises(VMMemoryError) as caught:
        vm.execute("""local p = require 'native_probe'
            local got = {}
            for i = 1, 512 do
                local at = p.call(9, 0, 1 << 20, 3, 0x22, -1, 0)
                if at < 0 then error('not enough memory') end
                for page = 0, 255 do p.poke(at + (page << 12), 'x') end
            end""")
    record = caught.value.record
    assert record is not None and record.outcome == "memory"


@pytest.mark.probe
@pytest.mark.parametrize("lie", [r"\xff", r"('\0'):rep(64)", "garbage", "head"])
def test_lies_on_the_session(manager: VMManager, lie: str) -> None:
    """Written by the VM into its own session: such a VM is ended, and the client goes on."""
    texts = {r"\xff": r"('\xff'):rep(64)", "garbage": "('garbage '):rep(100)",
             "head": r"string.pack('<I4BBI2I8I8I4I4', 0xffffffff, 64, 0, 0, 1, 0, 0, 0)"}
    vm = manager.create_vm("liar")
    other = manager.create_vm("other")
    with pytest.raises(VMDied) as caught:
        vm.execute(f"local p, s = require 'native_probe', {texts.get(lie, lie)} for fd = 4, 12 do p.call(1, fd, s, #s) end "
                   "while true do end", timeout=30 * SLOW)
    assert caught.value.record is not None
    assert other.execute("return 1") == 1
    assert manager.create_vm("fresh").execute("return 2") == 2


@pytest.mark.probe
@pytest.mark.parametrize("submitted", [False, True])
def test_flood_on_the_session(manager: VMManager, submitted: bool) -> None:
    """Output without end, past the pipes that are counted: the time limit holds, and the client's memory."""
    vm = manager.create_vm("liar")
    code = """local p, fd = require 'native_probe'
        local frame = string.pack('<I4BBI2I8I8I4I4', 1, 66, 1, 0, 1, 0, 0, 0) .. 'x'
        frame = frame:rep(2000)
        for try = 4, 12 do fd = fd or p.call(1, try, frame, 33) == 33 and try end
        assert(fd, 'no session')
        while true do
            local at = 1
            while at <= #frame do
                local part = frame:sub(at)
                local n = p.call(1, fd, part, #part)
                if n > 0 then at = at + n end
            end
        end"""
    begin = time.monotonic()
    with pytest.raises((VMTimeoutError, VMDied)) as caught:
        if submitted:
            vm.submit(code, timeout=1).result(60 * SLOW)
        else:
            vm.execute(code, timeout=1)
    assert set(caught.value.output) == {"x"} and len(caught.value.output) <= 1 << 20
    assert time.monotonic() - begin < 20 * SLOW
    assert manager.create_vm("other").execute("return 1") == 1


@pytest.mark.probe
def test_session_that_its_vm_closes(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    with pytest.raises(VMDied):
        vm.execute("local p = require 'native_probe' for fd = 4, 12 do p.call(3, fd) end while true do end",
                   timeout=60 * SLOW)


def test_orchestrator_that_is_killed() -> None:
    manager = VMManager()
    vm = manager.create_vm("vm")
    future = vm.submit(FOREVER)
    daemons = [p for p in hostview.descendants(os.getpid()) if p.name == "bioxend"]
    os.kill(daemons[-1].pid, signal.SIGKILL)
    with pytest.raises(HostError, match="orchestrator"):
        future.result(30 * SLOW)
    with pytest.raises(HostError, match="orchestrator"):
        vm.execute("return 1")
    with pytest.raises(HostError):
        manager.create_vm("another")
    assert manager.vms == {}
    manager.shutdown_all()
    with VMManager() as fresh:
        assert fresh.create_vm("vm").execute("return 1") == 1


def causes(manager: VMManager) -> list:
    """Each error, raised."""
    vm = manager.create_vm("vm", memory="16MiB")
    tries = [
        (LuaError, lambda: vm.execute("print('out') error({1, 2})")),
        (LuaSyntaxError, lambda: vm.execute("x x")),
        (VMTimeoutError, lambda: vm.execute(FOREVER, timeout=0.1)),
        (VMMemoryError, lambda: vm.execute("return ('x'):rep(1e9)")),
        (ConversionError, lambda: vm.execute("return print")),
        (VMExists, lambda: manager.create_vm("vm")),
        (VMNotFound, lambda: manager.get("nobody")),
        (HostError, lambda: VMManager(programs="/nonexistent")),
        (VMDied, lambda: vm.execute("os.exit(1)")),
    ]
    raised = []
    for cls, attempt in tries:
        with pytest.raises(cls) as caught:
            attempt()
        assert type(caught.value) is cls
        raised.append(caught.value)
    return raised


def test_every_error_pickles(manager: VMManager) -> None:
    for error in causes(manager):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            copy = pickle.loads(pickle.dumps(error, protocol))
            assert type(copy) is type(error) and str(copy) == str(error) and copy.args == error.args
            assert copy.__dict__ == error.__dict__
            assert isinstance(copy.output, str) and isinstance(copy, BioxenError)


def test_hierarchy(manager: VMManager) -> None:
    kinds = {type(error): error for error in causes(manager)}
    assert isinstance(kinds[VMTimeoutError], TimeoutError) and isinstance(kinds[VMMemoryError], MemoryError)
    assert isinstance(kinds[LuaSyntaxError], LuaError) and isinstance(kinds[VMNotFound], LookupError)
    assert kinds[LuaError].value == [1, 2] and kinds[LuaError].output == "out\n"
    assert kinds[VMDied].record.exit_code == 1
    assert kinds[HostError].errno


def test_a_required_limit_that_the_host_lacks(work: Path) -> None:
    """An ordinary user without a cgroup cannot have a share of a processor."""
    reason = user_skip_reason()
    if reason:
        pytest.skip(reason)
    code = """
from pylua_bioxen_vm import HostError, VMManager
with VMManager() as manager:
    assert manager.create_vm("plain").execute("return 1") == 1
    try:
        manager.create_vm("vm", cpus=0.05)
    except HostError as error:
        print(list(manager.vms), error)
"""
    package = work / "python"
    shutil.copytree(REPOSITORY / "python" / "pylua_bioxen_vm", package / "pylua_bioxen_vm")
    shutil.copytree(build_directory(), work / "programs",
                    ignore=lambda folder, names: [n for n in names if not n.startswith("bioxen")])
    environment = {"PYTHONPATH": str(package), "BIOXEN_PROGRAMS": str(work / "programs"), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", sys.executable, "-c",
                             code], env=environment, cwd="/", capture_output=True, text=True, timeout=60 * SLOW)
    assert result.returncode == 0 and result.stdout.startswith("['plain']"), result
    assert "cpu" in result.stdout or "processor" in result.stdout, result
