"""Two hundred VMs, driven from many threads and from one loop, with kills at random: nothing wrong, nothing stuck, nothing
lost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from pathlib import Path

import pytest

import hostview
from pylua_bioxen_vm import VM, VMDied, VMManager, VMNotFound, aio
from waiting import SLOW, wait_for

VMS = 200
THREADS = 32
SECONDS = 6


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Of this process and the orchestrators, KiB."""
    pids = [os.getpid()] + [p.pid for p in hostview.descendants(os.getpid()) if p.name in ("bioxend", "bioxen-jailer")]
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total


class Tally:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = self.deaths = 0
        self.failures: list = []

    def add(self, calls: int, deaths: int) -> None:
        with self.lock:
            self.calls += calls
            self.deaths += deaths


def drive(vms: list, seed: int, end: float, tally: Tally) -> None:
    """Random calls to random VMs, whose answers are checked; now and then one is killed, and made anew."""
    chance = random.Random(seed)
    calls = deaths = 0
    try:
        while time.monotonic() < end:
            vm = chance.choice(vms)
            number = chance.randrange(1 << 40)
            try:
                kind = chance.random()
                if kind < 0.002:
                    vm.kill()
                elif kind < 0.02:
                    futures = [vm.submit("return ...", number + i) for i in range(50)]
                    assert [f.result(60 * SLOW) for f in futures] == [number + i for i in range(50)]
                elif kind < 0.05:
                    data = bytes([255]) * chance.randrange(100_000)
                    assert vm.execute("return ...", data) in (data, data.decode("latin-1"))
                else:
                    assert vm.execute("n = (n or 0) + 1 return ...", number, [number]) == (number, [number])
                calls += 1
            except VMDied:
                deaths += 1
                revive(vm)
    except BaseException as error:
        tally.failures.append(error)
    tally.add(calls, deaths)


def revive(vm: VM) -> None:
    with vm._lock:  # somebody else may have done so already
        if vm._life.dead:
            vm.restart()


@pytest.mark.timeout(300)
def test_threads_and_kills(work: Path) -> None:
    with VMManager() as manager:
        vms = [manager.create_vm(f"vm{i}", memory="8MiB", timeout="60s") for i in range(VMS)]
        before = descriptors() + 8  # each VM has its session, and none is about to die; a few may come with the first calls

        def round_of(seconds: float, seed: int) -> Tally:
            tally = Tally()
            end = time.monotonic() + seconds
            threads = [threading.Thread(target=drive, args=(vms, seed + i, end, tally)) for i in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120 * SLOW)
                assert not thread.is_alive(), "a call hangs"
            for vm in vms:
                revive(vm)
                assert vm.execute("return ...", vm.name) == vm.name
            gc.collect()
            assert not tally.failures, tally.failures[0]
            return tally

        round_of(1, 1)
        wait_for(lambda: len(manager._runtime.lives) == VMS, 10, "every death to be told")
        memory = resident()
        tally = round_of(SECONDS, 1000)
        wait_for(lambda: descriptors() <= before, 10, "the dead VMs' descriptors to be closed")
        assert tally.calls > 1000 and tally.deaths > 0, (tally.calls, tally.deaths)
        if "BIOXEN_SANITIZE" not in os.environ:  # whose run-time library keeps what is freed
            assert resident() - memory < 16 << 10, (memory, resident())
        assert len(manager.vms) == VMS
        wait_for(lambda: len(manager._runtime.lives) == VMS, 10, "every death to be told")


@pytest.mark.timeout(300)
def test_one_loop_and_kills(work: Path) -> None:
    async def main() -> None:
        async with aio.VMManager() as manager:
            vms = await asyncio.gather(*(manager.create_vm(f"vm{i}", memory="8MiB", timeout="60s") for i in range(VMS)))
            counts = {"calls": 0, "deaths": 0}

            async def worker(seed: int, end: float) -> None:
                chance = random.Random(seed)
                while time.monotonic() < end:
                    vm = chance.choice(vms)
                    number = chance.randrange(1 << 40)
                    try:
                        if chance.random() < 0.002:
                            await vm.kill()
                        assert await vm.execute("return ...", number, [number]) == (number, [number])
                        counts["calls"] += 1
                    except VMDied:
                        counts["deaths"] += 1
                        await asyncio.get_running_loop().run_in_executor(None, revive, vm.sync)

            async def round_of(seconds: float, seed: int) -> None:
                end = time.monotonic() + seconds
                await asyncio.wait_for(asyncio.gather(*(worker(seed + i, end) for i in range(64))), 120 * SLOW)
                for vm in vms:
                    revive(vm.sync)
                names = await asyncio.gather(*(vm.execute("return ...", vm.name) for vm in vms))
                assert names == [vm.name for vm in vms]
                gc.collect()

            before = descriptors() + 8
            await round_of(1, 1)
            await round_of(SECONDS, 1000)
            wait_for(lambda: descriptors() <= before, 10, "the dead VMs' descriptors to be closed")
            assert counts["calls"] > 1000 and counts["deaths"] > 0, counts

    asyncio.run(main())


def test_vms_made_and_ended_at_the_same_time(manager: VMManager) -> None:
    failures: list = []

    def work(number: int) -> None:
        try:
            for i in range(8):
                vm = manager.create_vm(f"vm{number}")
                assert vm.execute("return ...", i) == i
                assert manager.get(vm.name) is vm
                (vm.kill if i % 2 else vm.stop)()
                with pytest.raises(VMNotFound):
                    manager.get(vm.name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert manager.vms == {}
    wait_for(lambda: not manager._runtime.lives and not manager._by_serial and not manager._expected, 10,
             "every death to be told")
