"""VMManager(socket=...): several managers, of one or of many processes, at one daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from bxrun import build_directory
from pylua_bioxen_vm import HostError, PeerError, VMManager
from waiting import SLOW, wait_for

PATIENCE = 30 * SLOW


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    path = tmp_path / "bioxen.sock"
    process = subprocess.Popen([build_directory() / "bioxen", "daemon", "--socket", path])
    try:
        wait_for(path.exists, 10, "the daemon to listen")
        yield path, process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_managers_share_a_daemon(daemon: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    """And nothing else: not names, not networks, not their ends."""
    path, _ = daemon
    with VMManager(socket=path) as one:
        with VMManager(socket=str(path)) as two:
            a, b = one.create_vm("vm", networked=True), two.create_vm("vm", networked=True)
            assert a.execute("return 1", timeout=PATIENCE) == 1 and b.execute("return 2", timeout=PATIENCE) == 2
            a.start_server(8080)
            b.start_server(8080)
            with pytest.raises(PeerError):
                two.create_vm("client").connect_to(a, 8080)
            assert one.create_vm("client").connect_to("localhost", 8080) == "vm"
            assert set(one.vms) == {"vm", "client"} and b.stats().sessions == 1
        assert b.state == "stopped" and a.execute("return 'lives'", timeout=PATIENCE) == "lives"
        record = a.stop()
        assert record is not None and record.outcome == "stopped"


def test_a_process_that_is_killed_takes_its_vms_along(daemon: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    path, _ = daemon
    code = """
import sys, signal
from pylua_bioxen_vm import VMManager
vm = VMManager(socket=sys.argv[1]).create_vm("vm", networked=True, profile="full")
print(vm.execute("return 1"), flush=True)
signal.pause()
"""
    child = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"1\n"
    count = lambda: len(vms_of(daemon[1].pid))  # noqa: E731
    assert count() == 1
    child.kill()
    child.communicate()
    wait_for(lambda: count() == 0, 10, "its VM to be gone")
    with VMManager(socket=path) as manager:
        assert manager.create_vm("vm").execute("return 2", timeout=PATIENCE) == 2


def vms_of(pid: int) -> list[int]:
    """The VMs' processes below that one."""
    found = []
    for line in subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True).stdout.splitlines():
        child, parent, name = line.split(None, 2)
        if int(parent) == pid:
            found += [int(child)] if name.startswith("bioxen-vm") else vms_of(int(child))
    return found


def test_a_daemon_that_is_killed(daemon: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    """Pending calls fail at once; the manager says what is the matter, and closes."""
    path, process = daemon
    manager = VMManager(socket=path)
    vm = manager.create_vm("vm")
    pending = vm.submit("while true do end")
    process.send_signal(signal.SIGKILL)
    with pytest.raises(HostError):
        pending.result(PATIENCE)
    with pytest.raises(HostError):
        manager.create_vm("another")
    manager.shutdown_all()
    with pytest.raises(HostError, match="daemon"):
        VMManager(socket=path)


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="bioxen daemon") as caught:
        VMManager(socket=tmp_path / "none.sock")
    assert caught.value.errno
    with pytest.raises(ValueError, match="programs"):
        VMManager(socket=tmp_path / "none.sock", programs=os.fspath(tmp_path))


def test_topology_files(daemon: tuple[Path, "subprocess.Popen[bytes]"], tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("version: 1\nvms:\n  a: {code: return}\n")
    with VMManager(socket=daemon[0]) as manager:
        assert manager.check(tmp_path / "lab.yaml") == []
