"""Making VMs, what they are made of, looking on, and ending them."""

from __future__ import annotations

import gc
import logging
import os
import threading
import warnings
import weakref
from pathlib import Path

import pytest

import pylua_bioxen_vm
from pylua_bioxen_vm import (BioxenError, DeathRecord, HostError, LuaError, Stats, VMDied, VMExists, VMManager, VMNotFound,
                             VMTimeoutError, units)
from waiting import SLOW, wait_for


def test_with_block_and_quick_start() -> None:
    with VMManager() as manager:
        vm1 = manager.create_vm("vm1")
        vm2 = manager.create_vm("vm2")
        result = vm1.execute("return math.sqrt(16)")
        assert result == 4.0 and isinstance(result, float)
        vm1.execute("x = 1")
        assert vm2.execute("return x") is None
    assert vm1.state == "stopped"


def test_without_a_block() -> None:
    manager = VMManager()
    vm = manager.create_vm("vm1")
    assert vm.execute("return 1") == 1
    manager.shutdown_all()
    manager.shutdown_all()
    assert manager.vms == {} and "closed" in repr(manager)
    with pytest.raises(BioxenError, match="closed"):
        manager.create_vm("late")
    with pytest.raises(VMDied):
        vm.execute("return 1")
    with pytest.raises(VMDied):
        vm.submit("return 1")


def test_names(manager: VMManager) -> None:
    vm = manager.create_vm("a.b-c_1")
    assert manager.get("a.b-c_1") is vm and manager.vms == {"a.b-c_1": vm} and vm.name == "a.b-c_1"
    with pytest.raises(VMExists, match="a.b-c_1"):
        manager.create_vm("a.b-c_1")
    with pytest.raises(VMNotFound, match="nobody"):
        manager.get("nobody")
    with pytest.raises(LookupError):
        manager.get("nobody")
    for bad in ("", "a b", "a/b", "ä", "x" * 64):
        with pytest.raises(ValueError):
            manager.create_vm(bad)
    with pytest.raises(TypeError):
        manager.create_vm(5)  # type: ignore[arg-type]
    vm.kill()
    assert manager.create_vm("a.b-c_1") is not vm
    assert manager.create_vm("x" * 63).execute("return 1") == 1


def test_profiles(manager: VMManager) -> None:
    assert manager.create_vm("r").execute("return io == nil, debug.getinfo == nil") == (True, True)
    full = manager.create_vm("f", profile="full")
    assert full.profile == "full"
    assert full.execute("local f = io.open('/tmp/x', 'w') f:write('y') f:close() return io.open('/tmp/x'):read('a')") == "y"


@pytest.mark.parametrize("options, message", [
    ({"profile": "open"}, "profile"), ({"memory": "lots"}, "memory"), ({"memory": 1}, "memory"),
    ({"memory": -1}, "memory"), ({"memory": True}, "memory"), ({"cpus": 0}, "cpus"), ({"cpus": "x"}, "cpus"),
    ({"timeout": "1"}, "timeout"), ({"timeout": 0}, "timeout"), ({"cpu_time": "0s"}, "cpu_time"), ({"pids": 0}, "pids"),
    ({"output_limit": "1.5"}, "output_limit"), ({"mounts": ["/tmp"]}, "mounts"), ({"mounts": ["/tmp:/x"]}, "full"),
    ({"mounts": ["/tmp:/x:rwx"], "profile": "full"}, "mounts"),
])
def test_bad_options(manager: VMManager, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manager.create_vm("vm", **options)
    assert manager.vms == {}
    assert manager.create_vm("vm").execute("return 1") == 1


def test_options_that_do_not_exist(manager: VMManager) -> None:
    with pytest.raises(TypeError):
        manager.create_vm("vm", memroy="1MiB")  # type: ignore[call-arg]


def test_sizes_and_times() -> None:
    assert [units.size(v, "") for v in (5, "5", "64K", "64KiB", "1.5MiB", "1g", "2TiB")] == \
        [5, 5, 65536, 65536, 3 << 19, 1 << 30, 2 << 40]
    assert [units.seconds(v, "") for v in (5, 0.5, "250ms", "5s", "2m", "1h", "1h30m", ".5s")] == \
        [5, 0.5, 0.25, 5, 120, 3600, 5400, 0.5]
    assert [units.processors(v, "") for v in (1, 0.5, "0.25", "2")] == [1000, 500, 250, 2000]
    for bad in ("", "K", "1x", "1 K", "-1", "0x10", "1e3", None, 1.5, "1KB"):
        with pytest.raises(ValueError):
            units.size(bad, "")  # type: ignore[arg-type]
    for bad in ("", "5", "s", "5 s", "-5s", "1e3s", "inf", None, -0.1, 0):
        with pytest.raises(ValueError):
            units.seconds(bad, "")  # type: ignore[arg-type]


def test_limits_are_in_the_record(manager: VMManager) -> None:
    vm = manager.create_vm("vm", memory="32MiB", output_limit="1MiB", pids=7)
    record = vm.stop()
    assert isinstance(record, DeathRecord) and record.outcome == "stopped" and record.name == "vm"
    assert record.limits["memory"].asked == 32 << 20 and record.limits["memory"].enforced_by
    assert record.limits["cpus"].asked == 1 and record.limits["pids"].asked == 7
    assert record.limits["cpu_time"].asked is None and record.limits["cpu_time"].enforced_by is None
    assert record.as_dict()["limits"]["output_limit"]["asked"] == 1 << 20
    assert record.wall_ms > 0 and record.cpu_ms > 0 and record.memory_peak > 0


def test_environment_and_arguments(manager: VMManager) -> None:
    vm = manager.create_vm("vm", env={"GREETING": "Servus", "ODD": "a=b\nc"}, args=["one", b"\xff"])
    assert vm.execute("return os.getenv 'GREETING', os.getenv 'ODD', os.getenv 'HOME'") == ("Servus", "a=b\nc", None)
    assert vm.execute("return arg[1], arg[2], #arg") == ("one", b"\xff", 2)


def test_script(manager: VMManager, tmp_path: Path) -> None:
    (tmp_path / "helper.lua").write_text("return {answer = 42}")
    (tmp_path / "main.lua").write_text("local h = require 'helper'  function ask(x) return h.answer + x end\nprint(...)")
    for profile in ("restricted", "full"):
        vm = manager.create_vm(profile, profile=profile, script=tmp_path / "main.lua", args=["a"])
        assert vm.call("ask", 1) == 43
        assert vm.execute("return require('helper').answer") == 42
        assert vm.execute("return arg[0]") == str(tmp_path / "main.lua")
        assert vm.logs() == "a\n"


def test_require_without_a_script(manager: VMManager) -> None:
    with pytest.raises(LuaError, match="module 'helper' not found"):
        manager.create_vm("vm").execute("return require 'helper'")


def test_script_that_fails(manager: VMManager, tmp_path: Path) -> None:
    script = tmp_path / "bad.lua"
    for text, outcome, message in (("x x", "syntax", "syntax error"), ("error('boom')", "error", "boom"),
                                   ("os.exit(7)", "exit", "")):
        script.write_text(text)
        vm = manager.create_vm("bad", script=str(script))
        with pytest.raises(VMDied) as caught:
            vm.execute("return 1")
        record = caught.value.record
        assert record is not None and record.outcome == outcome and message in (record.error or "")
        wait_for(lambda: "bad" not in manager.vms, 10, "its name is free")


def test_script_that_cannot_be_read(manager: VMManager, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manager.create_vm("vm", script=tmp_path / "none.lua")
    with pytest.raises((ValueError, IsADirectoryError)):
        manager.create_vm("vm", script=tmp_path)
    os.mkfifo(tmp_path / "pipe.lua")
    with pytest.raises(ValueError, match="regular file"):
        manager.create_vm("vm", script=tmp_path / "pipe.lua")
    assert manager.create_vm("vm").execute("return 1") == 1


def test_calls_wait_for_the_script(manager: VMManager, tmp_path: Path) -> None:
    script = tmp_path / "slow.lua"
    script.write_text("local s = os.clock() while os.clock() - s < 0.3 do end ready = true")
    vm = manager.create_vm("slow", script=script)
    assert vm.execute("return ready") is True


def test_mounts(manager: VMManager, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("hello")
    vm = manager.create_vm("vm", profile="full", mounts=[f"{tmp_path}:/data", (tmp_path, "/again", "ro")])
    assert vm.execute("return io.open('/data/data.txt'):read('a'), io.open('/again/data.txt'):read('a')") == \
        ("hello", "hello")
    assert vm.execute("return io.open('/data/new', 'w')")[0] is None
    with pytest.raises(FileNotFoundError):
        manager.create_vm("other", profile="full", mounts=[f"{tmp_path}/none:/data"])


def test_stats(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    vm.execute("print('x') local s = os.clock() while os.clock() - s < 0.05 do end")
    stats = vm.stats()
    assert isinstance(stats, Stats)
    assert stats.sessions == 1 and stats.cpu_time >= 0.04 and stats.uptime >= 0.04
    assert 0 < stats.memory <= stats.memory_peak and stats.output_bytes == 2
    vm.kill()
    with pytest.raises(VMDied):
        vm.stats()


# ---- ends ----

def test_stop_runs_finalizers(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    vm.execute("kept = setmetatable({}, {__gc = function() print('finalized') end})")
    record = vm.stop()
    assert record is not None and record.outcome == "stopped" and vm.state == "stopped"
    assert vm.logs() == "finalized\n"
    assert vm.stop() == record and vm.kill() == record


def test_stop_of_a_busy_vm(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    future = vm.submit("while true do end")
    record = vm.stop(grace=0.1)
    assert record is not None and record.outcome in ("stopped", "killed")
    with pytest.raises((VMDied, LuaError)):  # it may have been interrupted, and have said so, before its VM ended
        future.result(30 * SLOW)


def test_kill(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    record = vm.kill()
    assert record is not None and record.outcome == "killed" and vm.record == record
    assert "vm" not in manager.vms


def test_restart(manager: VMManager, tmp_path: Path) -> None:
    script = tmp_path / "main.lua"
    script.write_text("started = true")
    vm = manager.create_vm("vm", script=script, memory="16MiB")
    vm.execute("x = 1")
    pending = vm.submit("while true do end")
    vm.restart(grace=0.1)
    with pytest.raises((VMDied, LuaError)):
        pending.result(30 * SLOW)
    assert vm.execute("return x, started") == (None, True)
    assert vm.restarts == 1 and vm.state == "running" and manager.get("vm") is vm and vm.record is None
    vm.kill()
    vm.restart()
    assert vm.restarts == 2 and vm.execute("return 2") == 2
    record = vm.kill()
    assert record is not None and record.restarts == 2 and record.limits["memory"].asked == 16 << 20


def test_restart_when_the_name_was_taken(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    vm.kill()
    other = manager.create_vm("vm")
    with pytest.raises(VMExists):
        vm.restart()
    assert other.execute("return 1") == 1 and manager.get("vm") is other


def test_events(manager: VMManager) -> None:
    with manager.events() as events:
        vm = manager.create_vm("a")
        vm.restart()
        vm.kill()
        seen = []
        while len(seen) < 4:
            event = events.get(30 * SLOW)
            assert event is not None
            seen.append((event.type, event.vm, event.record.outcome if event.record else None))
    assert seen == [("created", "a", None), ("died", "a", "stopped"), ("restarted", "a", None), ("died", "a", "killed")]


def test_events_end_with_the_manager() -> None:
    with VMManager() as manager:
        events = manager.events()
        manager.create_vm("a")
    assert [e.type for e in events] == ["created", "died"]
    assert list(manager.events()) == []


def test_logging(manager: VMManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pylua_bioxen_vm"):
        manager.create_vm("logged").kill()
        wait_for(lambda: "killed" in caplog.text, 10, "the death in the log")
    assert "VM logged: created" in caplog.text


def test_repr(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    assert "'vm' running" in repr(vm) and "1 VMs" in repr(manager)
    vm.kill()
    assert "stopped" in repr(vm)


def test_manager_that_was_forgotten_is_closed_and_warned_of() -> None:
    manager = VMManager()
    vm = manager.create_vm("vm")
    life = vm._life
    gone = weakref.ref(manager)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del manager, vm
        gc.collect()
    assert gone() is None and life.dead
    assert any(w.category is ResourceWarning and "VMManager" in str(w.message) for w in caught)


def test_a_vm_keeps_its_manager() -> None:
    vm = VMManager().create_vm("vm")
    gc.collect()
    assert vm.execute("return 1") == 1
    vm.manager.shutdown_all()


def test_manager_made_by_a_thread_that_ends() -> None:
    made: list = []

    def make() -> None:
        made.append(VMManager())
        made.append(made[0].create_vm("vm"))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made[1].execute("return 1") == 1
    made[0].shutdown_all()


def test_exception_in_a_block_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        with VMManager() as manager:
            manager.create_vm("vm")
            raise KeyError("mine")


def test_several_managers() -> None:
    with VMManager() as one, VMManager() as two:
        a, b = one.create_vm("same"), two.create_vm("same")
        a.execute("x = 1")
        assert b.execute("return x") is None
        one.shutdown_all()
        assert b.execute("return 2") == 2


def test_without_programs(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        VMManager(programs=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_everything_public_is_there() -> None:
    for name in pylua_bioxen_vm.__all__:
        assert getattr(pylua_bioxen_vm, name).__doc__


def test_stop_while_a_call_runs(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    runs = threading.Event()
    running = vm.submit("print('on')  while true do end", on_stdout=lambda _: runs.set())
    waiting = vm.submit("return 1")
    assert runs.wait(30 * SLOW)
    vm.stop(grace=30 * SLOW)
    for future in (running, waiting):
        with pytest.raises(VMDied) as caught:
            future.result(30 * SLOW)
        assert caught.value.record.outcome == "stopped"


def test_shutdown_while_others_call() -> None:
    manager = VMManager()
    vms = [manager.create_vm(f"vm{i}") for i in range(4)]
    failures: list = []
    started = threading.Barrier(5)

    def work(number: int) -> None:
        started.wait()
        try:
            while True:
                vms[number].execute("return 1", timeout=30)
        except VMDied:
            pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    manager.shutdown_all()
    for thread in threads:
        thread.join(30 * SLOW)
        assert not thread.is_alive()
    assert not failures


def test_prompt(manager: VMManager) -> None:
    import io
    vm = manager.create_vm("vm")
    typed = "1 + 1\nx = 5\nprint('printed', x)\nfor i = 1, 2 do\nprint(i)\nend\nerror('bad')\nx x\nnil, 'two'\n\n"
    out = io.StringIO()
    vm.attach(io.StringIO(typed), out)
    shown = out.getvalue()
    assert shown.startswith("vm> 2\nvm> vm> printed\t5\nvm> vm>> vm>> 1\n2\n")
    assert "bad" in shown and "syntax error" in shown and "nil\ttwo\n" in shown and shown.endswith("vm> \n")
    assert vm.execute("return x") == 5


def test_timeout_type_of_a_dead_vm(manager: VMManager) -> None:
    vm = manager.create_vm("vm", cpu_time="100ms")
    with pytest.raises(VMTimeoutError) as caught:
        vm.execute("while true do end")
    assert caught.value.record is not None and caught.value.record.outcome == "cpu"
