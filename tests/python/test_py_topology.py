"""Topology files from Python."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
from pathlib import Path

import pytest

from bxrun import REPOSITORY, build_directory
from pylua_bioxen_vm import (BioxenError, LuaError, PeerError, TopologyError, VMDied, VMManager, VMNotFound,
                             VMTimeoutError, aio)
from waiting import SLOW, wait_for

PATIENCE = 30 * SLOW

BROKEN = """\
version: 2
nmae: x
vms:
  a: {script: none.lua, memory: 1}
  b: {code: 'x =', client: c}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "lab.yaml"
    path.write_text(text)
    return path


def refused(manager: VMManager, path: Path) -> TopologyError:
    with pytest.raises(TopologyError) as caught:
        manager.check(path)
    return caught.value


def test_examples_are_fine(manager: VMManager) -> None:
    examples = sorted((REPOSITORY / "config").glob("*.yaml"))
    assert examples
    for path in examples:
        assert manager.check(path) == []
    assert manager.vms == {}


def test_everything_that_is_wrong(manager: VMManager, tmp_path: Path) -> None:
    """File, line, column and message of each, in order; the error has those of the first."""
    path = write(tmp_path, BROKEN)
    error = refused(manager, path)
    assert [(fault.line, fault.column) for fault in error.errors] == [(1, 10), (2, 1), (4, 15), (4, 33), (5, 13), (5, 28)]
    assert {fault.file for fault in error.errors} == {str(path)} and all(fault.is_error for fault in error.errors)
    assert error.errors[1].message == "unknown key 'nmae' at the top level"
    assert error.errors[1].suggestion == "did you mean 'name'?"
    assert (error.file, error.line, error.column) == (str(path), 1, 10)
    assert str(error).splitlines()[1] == f"{path}:2:1: error: unknown key 'nmae' at the top level (did you mean 'name'?)"
    assert isinstance(error, BioxenError)


def test_pickles(manager: VMManager, tmp_path: Path) -> None:
    error = refused(manager, write(tmp_path, BROKEN))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is TopologyError and copy.errors == error.errors and str(copy) == str(error)


def test_where_in_a_script(manager: VMManager, tmp_path: Path) -> None:
    (tmp_path / "bad.lua").write_text("local x = 1\nx x\n")
    fault = refused(manager, write(tmp_path, "version: 1\nvms:\n  a: {script: bad.lua}\n")).errors[0]
    assert (fault.script, fault.script_line, fault.script_text) == ("bad.lua", 2, "x x")
    assert "bad.lua:2" in str(fault)


def test_variables_come_from_the_environment(manager: VMManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "version: 1\nvms:\n  a: {code: 'return', memory: '${BX_TEST_SIZE}'}\n")
    assert "BX_TEST_SIZE" in str(refused(manager, path))
    monkeypatch.setenv("BX_TEST_SIZE", "32MiB")
    assert manager.check(path) == []


def test_files_that_are_none(manager: VMManager, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manager.check(tmp_path / "none.yaml")
    with pytest.raises((IsADirectoryError, ValueError)):
        manager.check(tmp_path)
    assert refused(manager, write(tmp_path, "")).errors
    large = refused(manager, write(tmp_path, "# " + "x" * (1 << 20) + "\nversion: 1\n"))
    assert "1 MiB" in str(large) or "large" in str(large)


# ---- up ----

LAB = """\
version: 1
name: lab
vms:
  a:
    server: 8080
    code: |
      local bioxen = require "bioxen"
      lives = 1
      function double(x) return 2 * x end
      bioxen.ready()
      while true do local from, v = bioxen.receive() print("got", v) bioxen.send(from, v + 1) end
  b:
    client: a
    depends_on: [a]
    code: |
      local bioxen = require "bioxen"
      bioxen.send("a", 41)
      print("b has", select(2, bioxen.receive()))
      bioxen.receive()
"""


def test_up(manager: VMManager, tmp_path: Path) -> None:
    with manager.up(write(tmp_path, LAB), wait=True) as lab:
        assert lab.name == "lab" and [change["action"] for change in lab.changes["vms"]] == ["add", "add"]
        a, b = lab["a"], lab["b"]
        assert list(lab) == ["a", "b"] and len(lab) == 2 and lab.vms == {"a": a, "b": b} and lab["a"] is a
        assert (a.name, a.topology, a.state, a.ready, a.restarts, a.record) == ("a", "lab", "running", True, 0, None)
        assert a.execute("return double(...)", 21, timeout=PATIENCE) == 42 and a.call("double", 4, timeout=PATIENCE) == 8
        assert a.submit("return lives").result(PATIENCE) == 1
        wait_for(lambda: b.logs() == "b has\t42\n", 10, "b to have its answer")
        assert a.logs() == "got\t41\n" and a.stats().sessions == 1 and a.info()["address"].startswith("100.64.")
        assert list(manager.topologies()) == ["lab"] and manager.vms == {}
        same = manager.topologies()["lab"]["a"]  # another connection to the same process
        futures = [vm.submit("return ...", i) for i in range(100) for vm in (a, same)]
        assert [future.result(PATIENCE) for future in futures] == [i for i in range(100) for _ in "ab"]
        with pytest.raises(KeyError):
            lab["nobody"]
        with pytest.raises(LuaError, match="boom"):
            a.execute("error('boom')")
        with pytest.raises(VMTimeoutError):
            a.execute("while true do end", timeout=0.1)
        with pytest.raises(PeerError, match="file"):
            a.start_server(9000)
        with pytest.raises(TypeError):
            pickle.dumps(a)
    assert manager.topologies() == {}
    with pytest.raises(VMNotFound):
        a.execute("return 1")
    with pytest.raises(VMNotFound):
        lab.down()


def test_lives(manager: VMManager, tmp_path: Path) -> None:
    """A handle goes with its VM from one process to the next."""
    with manager.up(write(tmp_path, LAB), wait=True) as lab:
        a = lab["a"]
        assert a.execute("lives = lives + 1 return lives", timeout=PATIENCE) == 2
        a.restart()
        assert a.execute("return lives", timeout=PATIENCE) == 1 and a.restarts == 1
        pending = a.submit("while true do end")
        a.stop(grace="50ms")
        with pytest.raises(VMDied, match="lab/a"):
            pending.result(PATIENCE)
        with pytest.raises(VMDied, match="stopped") as caught:
            a.execute("return 1")
        assert caught.value.record is not None and a.state == "stopped"
        record = a.record
        assert record is not None and record == caught.value.record and record.limits["memory"].asked == 64 << 20
        a.start()
        assert a.execute("return lives", timeout=PATIENCE) == 1
        a.kill()
        record = a.record
        assert record is not None and record.outcome == "killed"


def test_only_what_differs(manager: VMManager, tmp_path: Path) -> None:
    path = write(tmp_path, LAB)
    lab = manager.up(path, wait=True)
    lab["a"].execute("kept = 1", timeout=PATIENCE)
    write(tmp_path, LAB + "  c: {code: 'require(\"bioxen\").sleep(1000)'}\n")
    planned = manager.up(path, dry_run=True).changes
    assert planned["dry_run"] is True and [(vm["name"], vm["action"]) for vm in planned["vms"]] == [("c", "add")]
    assert len(lab) == 2
    manager.up(path, wait=False)
    assert sorted(lab) == ["a", "b", "c"] and lab["a"].execute("return kept", timeout=PATIENCE) == 1
    write(tmp_path, BROKEN)
    with pytest.raises(TopologyError):
        manager.up(path)
    assert len(lab) == 3
    lab.down()


def test_events(manager: VMManager, tmp_path: Path) -> None:
    with manager.events() as events:
        with manager.up(write(tmp_path, LAB), wait=True) as lab:
            lab["a"].restart()
            manager.create_vm("own").kill()
        seen = []
        while seen[-1:] != [("down", "lab", "")] or len([one for one in seen if one[0] == "down"]) < 2:
            event = events.get(PATIENCE)
            assert event is not None, seen
            seen.append((event.type, event.topology, event.vm))
            if event.type == "death":
                assert event.record is not None and event.record.outcome == "stopped"
    assert ("ready", "lab", "a") in seen and seen.count(("death", "lab", "a")) == 2 and ("died", "", "own") in seen
    assert seen.index(("ready", "lab", "a")) < seen.index(("start", "lab", "b"))


def test_at_a_daemon(tmp_path: Path) -> None:
    """A topology there outlives the manager that brought it up."""
    socket = tmp_path / "bioxen.sock"
    daemon = subprocess.Popen([build_directory() / "bioxen", "daemon", "--socket", socket])
    try:
        wait_for(socket.exists, 10, "the daemon to listen")
        with VMManager(socket=socket) as manager:
            manager.up(write(tmp_path, LAB), wait=True)["a"].execute("kept = 'kept'", timeout=PATIENCE)
        with VMManager(socket=socket) as manager:
            lab = manager.topologies()["lab"]
            assert lab["a"].execute("return kept", timeout=PATIENCE) == "kept"
            lab.down()
            assert manager.topologies() == {}
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)


def test_aio(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.VMManager() as manager:
            assert await manager.check(write(tmp_path, LAB)) == []
            async with await manager.up(tmp_path / "lab.yaml", wait=True) as lab:
                vms = await lab.vms()
                assert sorted(vms) == ["a", "b"] and list(await manager.topologies()) == ["lab"]
                a = await lab.get("a")
                assert await a.execute("return double(...)", 2, timeout=PATIENCE) == 4
                await a.restart()
                assert await a.call("double", 3, timeout=PATIENCE) == 6
                await a.stop()
                assert (await a.info())["state"] == "stopped"
                with pytest.raises(VMDied):
                    await a.execute("return 1")
                await a.start()
                assert await a.execute("return lives", timeout=PATIENCE) == 1
            assert await manager.topologies() == {}

    asyncio.run(main())
