"""The same for asyncio: nothing blocks the loop, cancelling ends the work."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Awaitable, Callable

import pytest

from pylua_bioxen_vm import LuaError, VMDied, VMExists, VMTimeoutError
from pylua_bioxen_vm.aio import VMManager
from waiting import SLOW

FOREVER = "while true do end"


def run(body: Callable[[VMManager], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with VMManager() as manager:
            return await asyncio.wait_for(body(manager), 60 * SLOW)

    return asyncio.run(main())


def test_basics() -> None:
    async def body(manager: VMManager) -> None:
        vm = await manager.create_vm("a", timeout="30s")
        assert await vm.execute("x = ... return x", [1, 2]) == [1, 2]
        assert await vm.call("math.max", 1, 2) == 2
        assert (await vm.stats()).sessions == 1
        await vm.execute("print('hello')")
        assert await vm.logs() == "hello\n"
        assert manager.get("a") is vm and manager.vms == {"a": vm} and vm.state == "running"
        with pytest.raises(VMExists):
            await manager.create_vm("a")
        await vm.restart()
        assert await vm.execute("return x") is None and vm.restarts == 1
        record = await vm.stop()
        assert record is not None and record.outcome == "stopped" and manager.vms == {}

    run(body)


def test_errors_and_timeouts() -> None:
    async def body(manager: VMManager) -> None:
        vm = await manager.create_vm("a")
        with pytest.raises(LuaError, match="boom"):
            await vm.execute("error('boom')")
        with pytest.raises(VMTimeoutError):
            await vm.execute(FOREVER, timeout=0.1)
        pending = asyncio.ensure_future(vm.execute(FOREVER))
        await asyncio.sleep(0)
        await vm.kill()
        with pytest.raises(VMDied):
            await pending

    run(body)


def test_cancelling_ends_the_work() -> None:
    async def body(manager: VMManager) -> None:
        vm = await manager.create_vm("a")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(vm.execute(FOREVER), 0.2)
        assert await vm.execute("return 1", timeout=30) == 1

    run(body)


def test_the_loop_goes_on() -> None:
    async def body(manager: VMManager) -> int:
        vm = await manager.create_vm("a")
        ticks = 0
        call = asyncio.ensure_future(vm.execute(FOREVER, timeout=0.3))
        while not call.done():
            await asyncio.sleep(0.005)
            ticks += 1
        assert isinstance(call.exception(), VMTimeoutError)
        return ticks

    assert run(body) > 10


def test_output_comes_in_the_loop() -> None:
    async def body(manager: VMManager) -> None:
        vm = await manager.create_vm("a")
        seen: list = []
        loop = asyncio.get_running_loop()

        def listen(text: str) -> None:
            assert asyncio.get_running_loop() is loop
            seen.append(text)

        await vm.execute("print('one') print('two')", on_stdout=listen)
        assert "".join(seen) == "one\ntwo\n"

    run(body)


def test_map_and_events() -> None:
    async def body(manager: VMManager) -> None:
        events: list = []

        async def follow() -> None:
            async for event in manager.events():
                events.append(event.type)

        follower = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        progress: list = []
        assert await manager.map("return (...) + 1", range(10), workers=2,
                                 on_progress=lambda done, total: progress.append(done)) == list(range(1, 11))
        await asyncio.sleep(0)
        assert progress == list(range(1, 11))
        await manager.shutdown_all()
        await follower
        assert sorted(events) in (["created", "died"], ["created", "created", "died", "died"])

    run(body)


def test_many_at_once() -> None:
    async def body(manager: VMManager) -> None:
        vms = await asyncio.gather(*(manager.create_vm(f"vm{i}") for i in range(20)))
        results = await asyncio.gather(*(vm.execute("return ...", i, j) for i, vm in enumerate(vms) for j in range(50)))
        assert results == [(i, j) for i in range(20) for j in range(50)]

    begin = time.monotonic()
    run(body)
    assert time.monotonic() - begin < 30 * SLOW
