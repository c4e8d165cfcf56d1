"""Processes around the package: fork, pickling, signals, sub-interpreters, an interpreter that is killed."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import hostview
from pylua_bioxen_vm import BioxenError, VMManager, VMNotFound
from waiting import SLOW, wait_for


def python(code: str, **options: object) -> subprocess.Popen:
    """A fresh interpreter of its own, whose stdout is read here."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, start_new_session=True, **options)  # type: ignore[call-overload]


def finish(child: subprocess.Popen, status: int = 0) -> str:
    out, err = child.communicate(timeout=60 * SLOW)
    assert child.returncode == status, (child.returncode, out, err)
    return out


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def in_child(work: object) -> int:
    """Runs it after a fork; the exit status: 0 when it returned True."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if work() else 2  # type: ignore[operator]
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ---- fork ----

def test_child_cannot_use_the_parents(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    future = vm.submit("return 1")
    future.result(30 * SLOW)

    def refused(attempt: object) -> bool:
        try:
            attempt()  # type: ignore[operator]
        except BioxenError as error:
            return "forked" in str(error)
        return False

    def child() -> bool:
        return (refused(lambda: vm.execute("return 1")) and refused(lambda: vm.submit("return 1"))
                and refused(lambda: manager.create_vm("x")) and refused(vm.stats) and refused(vm.kill)
                and refused(manager.shutdown_all) and refused(vm.interrupt) and "another process" in repr(manager)
                and "another process" in repr(vm))

    assert in_child(child) == 0
    assert vm.execute("return 2") == 2


def test_child_makes_its_own(manager: VMManager) -> None:
    vm = manager.create_vm("vm")

    def child() -> bool:
        with VMManager() as own:
            return bool(own.create_vm("vm").execute("x = 5 return x") == 5)

    assert in_child(child) == 0
    assert vm.execute("return x") is None


def test_child_that_ends_normally_leaves_the_parents(manager: VMManager) -> None:
    """Garbage collection and exit handlers run in it."""
    vm = manager.create_vm("vm")
    child = multiprocessing.get_context("fork").Process(target=gc.collect)
    child.start()
    child.join(60 * SLOW)
    assert child.exitcode == 0
    assert vm.execute("return 1") == 1


def test_child_outlives_its_parent() -> None:
    """The child holds no end of a socket: the parent's VMs end with the parent."""
    child = python("""
        import os, sys, time
        from pylua_bioxen_vm import VMManager
        manager = VMManager()
        vm = manager.create_vm("vm")
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(1), os.close(2)
            while True:
                time.sleep(1)
        print(pid, flush=True)
        os.kill(os.getpid(), 9)
    """)
    pid = int(finish(child, -signal.SIGKILL))
    try:
        wait_for(lambda: not [p for p in hostview.descendants(os.getpid())
                              if p.name.startswith("bioxen") and p.state not in "ZX"], 10,
                 "the VM and its orchestrator to end")
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_fork_while_threads_call(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            vm.execute("return 1")
            vm.submit("return 1").result(30 * SLOW)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    def own() -> bool:
        with VMManager() as manager:
            vm = manager.create_vm("own")
            return [f.result(60 * SLOW) for f in [vm.submit("return ...", i) for i in range(20)]] == list(range(20))

    try:
        for _ in range(20):
            assert in_child(own) == 0
            assert in_child(lambda: bool(repr(vm)) and gc.collect() >= 0) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# ---- pickling ----

def test_handle_pickles_in_its_process(manager: VMManager) -> None:
    vm = manager.create_vm("vm")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(vm, protocol)) is vm
    assert copy.copy(vm) is vm and copy.deepcopy([vm])[0] is vm
    data = pickle.dumps(vm)
    manager.shutdown_all()
    assert pickle.loads(data) is vm
    del vm
    gc.collect()
    with pytest.raises(VMNotFound, match="it is gone"):
        pickle.loads(data)


def test_handle_elsewhere(manager: VMManager) -> None:
    data = pickle.dumps(manager.create_vm("vm"))

    def child() -> bool:
        try:
            pickle.loads(data)
        except VMNotFound as error:
            return "another process" in str(error)
        return False

    assert in_child(child) == 0
    out = finish(python(f"""
        import pickle
        try:
            pickle.loads({data!r})
        except Exception as error:
            print(type(error).__name__, error)
    """))
    assert "VMNotFound" in out and "another process" in out


def test_manager_does_not_pickle(manager: VMManager) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(manager)


# ---- signals ----

def test_ctrl_c_ends_the_call() -> None:
    out = finish(python("""
        import os, signal, threading, time
        from pylua_bioxen_vm import VMManager
        with VMManager() as manager:
            vm = manager.create_vm("vm")
            vm.execute("x = 1")
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            begin = time.monotonic()
            try:
                vm.execute("while true do end")
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - begin < 20)
            print(vm.execute("return x", timeout=60))
    """))
    assert out == "interrupted True\n1\n"


def test_ctrl_c_of_one_who_follows() -> None:
    """Another thread reads; the main thread waits for its own answer behind it."""
    out = finish(python("""
        import os, signal, threading, time
        from pylua_bioxen_vm import VMManager
        with VMManager() as manager:
            vm = manager.create_vm("vm")
            first = threading.Thread(target=vm.execute, args=("local s = os.clock() while os.clock() - s < 1 do end",))
            first.start()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(0.1)
            try:
                vm.execute("ran = true while true do end")
            except KeyboardInterrupt:
                print("interrupted", first.is_alive())
            first.join()
            print(vm.execute("return 1", timeout=60))
    """))
    assert out == "interrupted True\n1\n"


def test_signal_handlers_run_while_waiting() -> None:
    out = finish(python("""
        import os, signal, threading
        from pylua_bioxen_vm import VMManager
        seen = []
        signal.signal(signal.SIGUSR1, lambda *a: seen.append(1))
        with VMManager() as manager:
            vm = manager.create_vm("vm")
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            print(vm.execute("local s = os.clock() while os.clock() - s < 0.6 do end return #(...)", ["x"]), seen)
    """))
    assert out == "1 [1]\n"


# ---- ends of the interpreter ----

@pytest.mark.parametrize("moment", ["idle", "busy", "starting", "submitting"])
def test_interpreter_that_is_killed_leaves_nothing(work: Path, moment: str) -> None:
    code = {"idle": "time.sleep(600)",
            "busy": "vm.submit('while true do end'); print('up', flush=True); vm.execute('while true do end')",
            "starting": "print('up', flush=True); [manager.create_vm(f'more{i}') for i in range(500)]",
            "submitting": "print('up', flush=True)\nwhile True: vm.submit('return 1')"}[moment]
    child = python(f"""
import sys, time
from pylua_bioxen_vm import VMManager
manager = VMManager()
vm = manager.create_vm("vm")
others = [manager.create_vm(f"vm{{i}}", profile="full") for i in range(5)]
{"print('up', flush=True)" if moment == "idle" else ""}
{code}
""")
    assert child.stdout is not None and child.stdout.readline() == "up\n"
    child.kill()
    child.communicate()
    # the fixture looks for what is left: processes, cgroups, namespaces, mounts, files


def test_interpreter_that_ends_without_closing(work: Path) -> None:
    out = finish(python("""
        from pylua_bioxen_vm import VMManager
        manager = VMManager()
        vm = manager.create_vm("vm")
        print(vm.submit("return 1").result())
    """))
    assert out == "1\n"


def test_interpreter_that_exits_in_a_thread_that_waits(work: Path) -> None:
    finish(python("""
        import threading
        from pylua_bioxen_vm import VMManager
        manager = VMManager()
        vm = manager.create_vm("vm")
        threading.Thread(target=vm.execute, args=("while true do end",), daemon=True).start()
        vm.submit("while true do end")
    """))


def test_no_descriptor_is_leaked() -> None:
    def round_trip() -> None:
        with VMManager() as manager:
            vm = manager.create_vm("vm", profile="full", mounts=["/tmp:/data"])
            vm.execute("return 1")
            vm.submit("return 1").result(30 * SLOW)
            vm.restart()
            vm.kill()
            with pytest.raises(ValueError):
                manager.create_vm("bad name")

    round_trip()
    gc.collect()
    before = open_descriptors()
    for _ in range(5):
        round_trip()
    gc.collect()
    assert open_descriptors() == before


def test_descriptors_are_not_inherited() -> None:
    out = finish(python("""
        import subprocess, sys
        from pylua_bioxen_vm import VMManager

        def inherited():
            code = "import os; print(len(os.listdir('/proc/self/fd')))"
            return subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, check=True).stdout

        before = inherited()
        with VMManager() as manager:
            manager.create_vm("vm").submit("return 1").result()
            print(before == inherited())
    """))
    assert out == "True\n"


def test_few_descriptors() -> None:
    """When there are no more the error says so, and what runs goes on."""
    out = finish(python("""
        import resource
        from pylua_bioxen_vm import HostError, VMManager
        with VMManager() as manager:
            first = manager.create_vm("first")
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(__import__("os").listdir("/proc/self/fd")) + 8,) * 2)
            made = []
            try:
                for i in range(100):
                    made.append(manager.create_vm(f"vm{i}"))
            except (OSError, HostError) as error:
                print("refused", type(error).__name__)
            print(first.execute("return 1"))
            made.clear()
            for vm in list(manager.vms.values()):
                if vm is not first:
                    vm.kill()
            del vm
            print(manager.create_vm("again").execute("return 2"))
    """))
    assert out.startswith("refused") and out.endswith("1\n2\n")


def test_sub_interpreter_is_refused() -> None:
    pytest.importorskip("_xxsubinterpreters")
    out = finish(python("""
        import _xxsubinterpreters as interpreters
        lines = ["try:", "    import pylua_bioxen_vm", "except ImportError as error:", "    print(error, flush=True)"]
        interpreters.run_string(interpreters.create(), chr(10).join(lines))
    """))
    assert "sub-interpreter" in out
