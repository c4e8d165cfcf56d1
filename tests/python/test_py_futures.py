"""CallFuture makes its parts when they are asked for, and is a concurrent.futures.Future in every way."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, as_completed, wait

import pytest

from pylua_bioxen_vm import VM, CallFuture, LuaError, VMManager
from waiting import SLOW, wait_for

LONG = "local s = os.clock() while os.clock() - s < 0.3 do end return ..."


def test_is_one(vm: VM) -> None:
    future = vm.submit("return 1")
    assert isinstance(future, Future) and isinstance(future, CallFuture)
    assert future.result(30 * SLOW) == 1 and future.exception() is None
    assert future.done() and not future.running() and not future.cancelled() and not future.cancel()
    assert "finished" in repr(future)


def test_waiting_before_and_after(vm: VM) -> None:
    future = vm.submit(LONG, 5)
    assert not future.done() and "pending" in repr(future)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(0.01)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.exception(0.01)
    assert future.result(30 * SLOW) == 5 and future.result() == 5


def test_exception(vm: VM) -> None:
    future = vm.submit("error('boom')")
    assert isinstance(future.exception(30 * SLOW), LuaError)
    with pytest.raises(LuaError):
        future.result()
    with pytest.raises(LuaError):
        future.result(1)


def test_callbacks_before_and_after(vm: VM) -> None:
    seen: list = []
    future = vm.submit(LONG, 1)
    future.add_done_callback(lambda f: seen.append(("early", f.result())))
    event = threading.Event()
    future.add_done_callback(lambda f: event.set())
    assert event.wait(30 * SLOW)
    future.add_done_callback(lambda f: seen.append(("late", f.result())))
    assert seen == [("early", 1), ("late", 1)]


def test_wait_and_as_completed(vm: VM) -> None:
    futures = [vm.submit("return 1"), vm.submit(LONG, 2), vm.submit("error('x')")]
    done, rest = wait(futures, 30 * SLOW, FIRST_COMPLETED)
    assert futures[0] in done
    assert set(as_completed(futures, 30 * SLOW)) == set(futures)
    done, rest = wait(futures, 0)
    assert len(done) == 3 and not rest


def test_cancelled(vm: VM) -> None:
    future = vm.submit("while true do end")
    seen: list = []
    future.add_done_callback(seen.append)
    assert future.cancel() and future.cancel() and future.cancelled() and future.done()
    assert seen == [future]
    with pytest.raises(CancelledError):
        future.result()
    with pytest.raises(CancelledError):
        future.exception()
    assert next(as_completed([future], 1)) is future
    assert vm.execute("return 1", timeout=30 * SLOW) == 1


def test_of_asyncio(vm: VM) -> None:
    async def main() -> None:
        assert await asyncio.wrap_future(vm.submit("return 1")) == 1
        with pytest.raises(LuaError):
            await asyncio.wrap_future(vm.submit("error('x')"))
        waiting = asyncio.wrap_future(vm.submit("while true do end"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.wrap_future(vm.submit("return 2", timeout=30)) == 2

    asyncio.run(main())


def test_everybody_who_waits_is_woken(vm: VM) -> None:
    """Waiters and callbacks meet the end of their future at every moment."""
    count = 0
    lock = threading.Lock()

    def seen(_: object) -> None:
        nonlocal count
        with lock:
            count += 1

    def look(futures: list) -> None:
        for future in futures:
            future.add_done_callback(seen)
            assert future.result(60 * SLOW) == 1

    for _ in range(20):
        futures = [vm.submit("return 1") for _ in range(100)]
        threads = [threading.Thread(target=look, args=(futures,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wait_for(lambda: count == 20 * 100 * 4, 10, "every callback to run once")


def test_cancel_against_the_end(vm: VM) -> None:
    """Either it was cancelled or it has its result, never both, never neither."""
    for _ in range(300):
        future = vm.submit("return 1")
        if future.cancel():
            assert future.cancelled()
        else:
            assert future.result(30 * SLOW) == 1 and not future.cancelled()
    assert vm.execute("return 1", timeout=60 * SLOW) == 1


def test_as_completed_against_the_end(vm: VM) -> None:
    """Each future once, whether it ends before, while or after it is looked at."""
    for count in [50] * 30:
        futures = [vm.submit("return ...", i) for i in range(count)]
        assert sorted(f.result() for f in as_completed(futures, 60 * SLOW)) == list(range(count))
        futures = [vm.submit("return ...", i) for i in range(count)]
        assert len(wait(futures, 60 * SLOW).done) == count


def test_managers_end_futures_at_the_same_time() -> None:
    def work() -> None:
        with VMManager() as manager:
            vm = manager.create_vm("vm")
            for _ in range(10):
                futures = [vm.submit("return ...", i) for i in range(200)]
                assert sorted(f.result() for f in as_completed(futures, 60 * SLOW)) == list(range(200))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()
