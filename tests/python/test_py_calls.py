"""Calls: their results, output, errors, deadlines and order, one at a time and many at once."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from pathlib import Path

import pytest

from pylua_bioxen_vm import (VM, BioxenError, LuaError, LuaSyntaxError, VMDied, VMManager, VMMemoryError, VMTimeoutError)
from waiting import SLOW, wait_for

FOREVER = "while true do end"
STUBBORN = "while true do pcall(function() while true do end end) end"


def test_state_lasts(vm: VM) -> None:
    vm.execute("counter = 1")
    vm.execute("counter = counter + ...", 41)
    assert vm.execute("return counter") == 42


def test_call_by_name(vm: VM) -> None:
    vm.execute("function double(x) return x * 2 end  box = {inner = {triple = function(x) return x * 3 end}}")
    assert vm.call("double", 21) == 42
    assert vm.call("box.inner.triple", 2) == 6
    assert vm.call("math.max", 1, 5, 3) == 5
    with pytest.raises(LuaError):
        vm.call("no.such.function")


def test_code_may_be_bytes(vm: VM) -> None:
    assert vm.execute(b"return '\xff' == ...", b"\xff") is True
    with pytest.raises(TypeError):
        vm.execute(5)  # type: ignore[arg-type]


def test_bytecode_is_refused(vm: VM) -> None:
    with pytest.raises(LuaError):
        vm.execute(b"\x1bLua\x54\x00")


# ---- output ----

def test_output_as_it_comes(vm: VM) -> None:
    seen: list = []
    vm.execute("print('one') print('two')", on_stdout=seen.append)
    assert "".join(seen) == "one\ntwo\n"


def test_output_comes_while_the_call_runs(vm: VM) -> None:
    """The call ends because its own output was seen."""
    seen = []

    def listen(text: str) -> None:
        seen.append(text)
        vm.interrupt()

    with pytest.raises(LuaError, match="interrupted"):
        vm.execute("print('ready') while true do end", on_stdout=listen, timeout=30 * SLOW)
    assert seen == ["ready\n"]


def test_output_is_cut_between_characters(vm: VM) -> None:
    seen: list = []
    text = "ä€😀" * 40_000
    vm.execute("print(...)", text, on_stdout=seen.append)
    assert "".join(seen) == text + "\n"


def test_output_that_is_no_utf8(vm: VM) -> None:
    seen: list = []
    vm.execute(r"print('a\xff') print('\xc3')", on_stdout=seen.append)
    assert "".join(seen) == "a\\xff\n\\xc3\n"


def test_stderr_apart(manager: VMManager) -> None:
    vm = manager.create_vm("full", profile="full")
    out: list = []
    err: list = []
    vm.execute("io.stdout:write('o') io.stderr:write('e')", on_stdout=out.append, on_stderr=err.append)
    assert ("".join(out), "".join(err)) == ("o", "e")


def test_listener_that_fails_ends_the_call(vm: VM) -> None:
    def refuse(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        vm.execute("print('x') while true do end", on_stdout=refuse)
    assert vm.execute("return 1", timeout=30 * SLOW) == 1


def test_listener_of_a_future_that_fails(vm: VM) -> None:
    def refuse(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        vm.submit("print('x') while true do end", on_stdout=refuse).result(30 * SLOW)
    assert vm.execute("return 1", timeout=30 * SLOW) == 1


def test_output_of_a_future(vm: VM) -> None:
    seen: list = []
    assert vm.submit("print('x') return 5", on_stdout=seen.append).result(30 * SLOW) == 5
    assert seen == ["x\n"]


def test_error_carries_output(vm: VM) -> None:
    with pytest.raises(LuaError) as caught:
        vm.execute("print('before') error('boom')")
    assert caught.value.output == "before\n"
    with pytest.raises(LuaError) as caught:
        vm.execute("error('boom')")
    assert caught.value.output == ""


def test_logs_have_what_a_call_printed(vm: VM) -> None:
    for i in range(50):
        vm.execute("print(...)", i)
        assert vm.logs().endswith(f"{i}\n")


def test_logs_keep_the_last(manager: VMManager) -> None:
    vm = manager.create_vm("chatty", log_limit="4KiB")
    vm.execute("for i = 1, 5000 do print(i) end")
    logs = vm.logs()
    assert logs.endswith("4999\n5000\n") and len(logs) <= 4096


# ---- errors ----

def test_lua_error(vm: VM) -> None:
    with pytest.raises(LuaError) as caught:
        vm.execute("local function inner() error('boom') end  inner()")
    error = caught.value
    assert "boom" in error.message and str(error) == error.message and "boom" in error.value
    assert "inner" in error.traceback and "stack traceback" in error.traceback
    assert error.vm == "vm" and not isinstance(error, LuaSyntaxError)


def test_error_values(vm: VM) -> None:
    for code, value in (("error({code = 5})", {"code": 5}), ("error()", None), ("error(7)", 7), ("error(true)", True),
                        ("error('plain', 0)", "plain"),
                        ("error(print)", "(error object is a function value)")):
        with pytest.raises(LuaError) as caught:
            vm.execute(code)
        assert caught.value.value == value, code
    with pytest.raises(LuaError, match="made by tostring"):
        vm.execute("error(setmetatable({}, {__tostring = function() return 'made by tostring' end}))")


def test_syntax_error(vm: VM) -> None:
    with pytest.raises(LuaSyntaxError, match="syntax error near 'x'"):
        vm.execute("x x")


def test_memory_error_leaves_the_vm(manager: VMManager) -> None:
    vm = manager.create_vm("small", memory="16MiB")
    with pytest.raises(VMMemoryError) as caught:
        vm.execute("kept = 5 local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e5) .. i end")
    assert isinstance(caught.value, MemoryError) and caught.value.record is None
    assert vm.execute("return kept") == 5


def test_memory_error_can_be_caught_in_lua(manager: VMManager) -> None:
    vm = manager.create_vm("small", memory="16MiB")
    assert vm.execute("local ok, why = pcall(string.rep, 'x', 1e9) return ok, why") == (False, "not enough memory")


# ---- deadlines ----

@pytest.mark.parametrize("code", [FOREVER, STUBBORN, "coroutine.wrap(function() while true do end end)()",
                                  "local t = setmetatable({}, {__index = function() while true do end end}) return t.x"])
def test_timeout_ends_the_work(vm: VM, code: str) -> None:
    vm.execute("kept = 1")
    begin = time.monotonic()
    with pytest.raises(VMTimeoutError) as caught:
        vm.execute(code, timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert 0.2 <= time.monotonic() - begin < 3 * SLOW
    if caught.value.record is None:
        assert vm.execute("return kept") == 1


def test_timeout_inside_c_ends_the_vm(vm: VM) -> None:
    """A pattern that backtracks never comes back to Lua: after the grace its VM is killed."""
    with pytest.raises(VMTimeoutError) as caught:
        vm.execute("return (('a'):rep(40)):find(('a*'):rep(40) .. 'b')", timeout=0.2)
    assert caught.value.record is not None and caught.value.record.outcome == "timeout"
    assert vm.state == "ended"
    with pytest.raises(VMTimeoutError):
        vm.execute("return 1")


def test_timeout_of_the_vm_is_each_calls(manager: VMManager) -> None:
    vm = manager.create_vm("brief", timeout="200ms")
    with pytest.raises(VMTimeoutError):
        vm.execute(FOREVER)
    with pytest.raises(VMTimeoutError):
        vm.submit(FOREVER).result(30 * SLOW)
    assert vm.execute("return 1") == 1
    assert vm.execute("local s = os.clock() while os.clock() - s < 0.3 do end return 2", timeout=float("inf")) == 2


def test_timeout_carries_output(vm: VM) -> None:
    with pytest.raises(VMTimeoutError) as caught:
        vm.execute("print('so far') while true do end", timeout=0.2)
    assert caught.value.output == "so far\n"


def test_timeout_of_a_future(vm: VM) -> None:
    future = vm.submit(FOREVER, timeout=0.2)
    after = vm.submit("return 2")
    with pytest.raises(VMTimeoutError):
        future.result(30 * SLOW)
    assert after.result(30 * SLOW) == 2


def test_timeout_while_waiting_for_its_turn(vm: VM) -> None:
    """The one before it takes longer: it fails at its own time, and is never begun."""
    vm.execute("begun = false")
    first = vm.submit("local s = os.clock() while os.clock() - s < 1 do end return 1")
    begin = time.monotonic()
    with pytest.raises(VMTimeoutError):
        vm.execute("begun = true", timeout=0.1)
    with pytest.raises(VMTimeoutError):
        vm.submit("begun = true", timeout=0.1).result(30 * SLOW)
    assert time.monotonic() - begin < 0.9 * SLOW
    assert first.result(30 * SLOW) == 1
    assert vm.execute("return begun") is False


def test_an_answer_does_not_wait_for_the_next_call(vm: VM) -> None:
    first = vm.submit("return 1")
    second = vm.submit(FOREVER)
    assert first.result(10 * SLOW) == 1
    assert not second.done()
    second.cancel()
    assert vm.execute("return 3", timeout=30 * SLOW) == 3


@pytest.mark.parametrize("bad", [0, -1, "", "5", "abc", True, float("nan")])
def test_bad_timeouts(vm: VM, bad: object) -> None:
    with pytest.raises(ValueError, match="timeout"):
        vm.execute("return 1", timeout=bad)  # type: ignore[arg-type]


# ---- interrupting ----

def test_interrupt_from_another_thread(vm: VM) -> None:
    future = vm.submit("running = true while true do end")
    wait_for(lambda: vm.stats().cpu_time > 0.02, 10, "the call runs")
    vm.interrupt()
    with pytest.raises(LuaError, match="interrupted"):
        future.result(30 * SLOW)
    assert vm.execute("return running") is True


def test_interrupt_of_an_idle_vm_does_nothing(vm: VM) -> None:
    vm.execute("return 1")
    for _ in range(200):
        vm.interrupt()
        assert vm.execute("return 1") == 1
    assert vm.execute("local s = os.time() + 3 while os.time() < s do end return 1") == 1  # beyond the grace


def test_interrupt_of_the_script(manager: VMManager, tmp_path: Path) -> None:
    (tmp_path / "forever.lua").write_text("print('up') while true do end")
    vm = manager.create_vm("vm", script=tmp_path / "forever.lua")
    wait_for(lambda: vm.logs() == "up\n", 10, "the script to run")
    vm.interrupt()
    with pytest.raises(VMDied) as caught:
        vm.execute("return 1", timeout=30 * SLOW)
    assert caught.value.record is not None and caught.value.record.outcome == "error"


def test_cancel_of_a_running_call(vm: VM) -> None:
    future = vm.submit(FOREVER)
    wait_for(lambda: vm.stats().cpu_time > 0.02, 10, "the call runs")
    assert future.cancel() and future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    assert vm.execute("return 1", timeout=30 * SLOW) == 1


def test_cancel_of_a_waiting_call(vm: VM) -> None:
    vm.execute("ran = 0")
    first = vm.submit("local s = os.clock() while os.clock() - s < 0.5 do end return 1")
    second = vm.submit("ran = ran + 1 while true do end")
    third = vm.submit("return 3")
    assert second.cancel()
    assert first.result(30 * SLOW) == 1
    assert third.result(30 * SLOW) == 3
    assert not first.cancel()


def test_cancel_notifies_who_waits_for_several(vm: VM) -> None:
    futures = [vm.submit(FOREVER), vm.submit("return 1")]
    threading.Timer(0.1, futures[0].cancel).start()
    done, pending = concurrent.futures.wait(futures, timeout=30 * SLOW)
    assert len(done) == 2 and not pending


# ---- many ----

def test_futures_come_in_order(vm: VM) -> None:
    order: list = []
    futures = [vm.submit("return ...", i) for i in range(2000)]
    for future in futures:
        future.add_done_callback(lambda f: order.append(f.result()))
    assert [f.result(60 * SLOW) for f in futures] == list(range(2000))
    wait_for(lambda: len(order) == 2000, 10, "every callback has run")


def test_done_callback_may_use_the_vm(vm: VM) -> None:
    inner: concurrent.futures.Future = concurrent.futures.Future()

    def again(future: concurrent.futures.Future) -> None:
        vm.submit("return ...", future.result() + 1).add_done_callback(lambda f: inner.set_result(f.result()))

    vm.submit("return 1").add_done_callback(again)
    assert inner.result(30 * SLOW) == 2


def test_threads_share_a_vm(vm: VM) -> None:
    vm.execute("total = 0")
    failures: list = []

    def work(number: int) -> None:
        try:
            for i in range(200):
                if i % 3 == 0:
                    assert vm.submit("total = total + 1 return ...", (number, i)).result(60 * SLOW) == [number, i]
                else:
                    assert vm.execute("total = total + 1 return ...", (number, i)) == [number, i]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert vm.execute("return total") == 16 * 200


def test_threads_with_large_values(vm: VM) -> None:
    """More than a socket takes at once, from several threads, so that sending and reading get in each other's way."""
    failures: list = []

    def work(number: int) -> None:
        try:
            data = bytes([255, number]) * 400_000
            for i in range(6):
                if (i + number) % 2:
                    assert vm.execute("return ...", data) == data
                else:
                    assert vm.submit("return ...", data).result(60 * SLOW) == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_gil_is_free_while_waiting(vm: VM) -> None:
    count = 0
    future = vm.submit("return 1")
    future.result(30 * SLOW)
    done = threading.Event()

    def wait() -> None:
        with pytest.raises(VMTimeoutError):
            vm.execute(FOREVER, timeout=0.3)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not done.is_set():
        count += 1
    thread.join()
    assert count > 1000


def test_map(manager: VMManager) -> None:
    seen: list = []
    results = manager.map("return (...) * 2", range(50), workers=3, on_progress=lambda done, all: seen.append((done, all)))
    assert results == [i * 2 for i in range(50)]
    assert seen == [(i, 50) for i in range(1, 51)]
    assert manager.vms == {} and manager.map("return 1", []) == []


def test_map_with_an_error(manager: VMManager) -> None:
    with pytest.raises(LuaError, match="seven"):
        manager.map("if ... == 7 then error('seven') end return ...", range(100), workers=2)
    with pytest.raises(VMTimeoutError):
        manager.map("while ... == 3 do end", range(5), workers=2, timeout=0.2)
    with pytest.raises(KeyError):
        manager.map("return ...", range(5), on_progress=lambda done, all: {}[done])
    assert manager.vms == {}


def test_errors_are_bioxen_errors() -> None:
    for cls in (LuaError, LuaSyntaxError, VMTimeoutError, VMMemoryError):
        assert issubclass(cls, BioxenError)
