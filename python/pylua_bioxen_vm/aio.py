"""The same for asyncio: what waits is awaited, and the loop goes on meanwhile.

    from pylua_bioxen_vm.aio import VMManager

    async with VMManager() as manager:
        vm = await manager.create_vm("a")
        print(await vm.execute("return 1 + 1"))

Calls cost no thread. Cancelling a task that awaits a call (asyncio.wait_for does so) ends the call in its VM. Starting and
ending VMs, which happens rarely, uses a few threads of the manager's own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Iterable, Mapping, TypeVar

from . import fleet, peers, spec, units
from . import manager as sync
from .errors import Fault
from .events import Event
from .records import DeathRecord, Stats
from .vm import GRACE, OnOutput
from .vm import VM as SyncVM

T = TypeVar("T")

#: VMs that are started or ended at the same time by one manager.
_STARTERS = 16


class VM:
    """A VM whose calls are awaited. `vm.sync` is the same VM for threads."""

    def __init__(self, manager: VMManager, vm: SyncVM) -> None:
        self._manager = manager
        self.sync = vm

    async def execute(self, code: str | bytes, *args: Any, timeout: units.Time | None = None,
                      on_stdout: OnOutput | None = None, on_stderr: OnOutput | None = None) -> Any:
        """As VM.execute. Output callbacks run in the loop's thread."""
        return await asyncio.wrap_future(self.sync.submit(code, *args, timeout=timeout, on_stdout=_in_loop(on_stdout),
                                                          on_stderr=_in_loop(on_stderr)))

    async def call(self, name: str, *args: Any, timeout: units.Time | None = None, on_stdout: OnOutput | None = None,
                   on_stderr: OnOutput | None = None) -> Any:
        """As VM.call."""
        return await asyncio.wrap_future(self.sync.submit_call(name, *args, timeout=timeout,
                                                               on_stdout=_in_loop(on_stdout),
                                                               on_stderr=_in_loop(on_stderr)))

    async def start_server(self, port: int, *, timeout: units.Time | None = None) -> None:
        """As VM.start_server; the same goes for those that follow."""
        await self._drive(peers.start_server(self.sync, port, self.sync._end(timeout)))

    async def accept_connections(self, timeout: units.Time | None = 0) -> list[str]:
        return await self._drive(peers.accept_connections(self.sync, self.sync._end(timeout)))

    async def connect_to(self, host: str | VM | SyncVM, port: int, *, timeout: units.Time | None = None) -> str:
        return await self._drive(peers.connect_to(self.sync, _host(host), port, self.sync._end(timeout)))

    async def establish_p2p_with(self, other: VM | SyncVM, *, timeout: units.Time | None = None) -> None:
        await self._drive(peers.establish_p2p(self.sync, _plain(other), self.sync._end(timeout)))

    async def send_message(self, message: Any, *, to: str | VM | SyncVM | None = None,
                           timeout: units.Time | None = None) -> None:
        target = None if to is None else _host(to)
        await self._drive(peers.send(self.sync, message, target, self.sync._end(timeout)))

    async def send_data(self, data: str | bytes | bytearray | memoryview, *, to: str | VM | SyncVM | None = None,
                        timeout: units.Time | None = None) -> None:
        await self.send_message(peers.check_data(data), to=to, timeout=timeout)

    async def receive_message(self, timeout: units.Time | None = None) -> Any:
        return (await self.receive_from(timeout))[1]

    async def receive_from(self, timeout: units.Time | None = None) -> tuple[str, Any]:
        return await self._drive(peers.receive(self.sync, self.sync._end(timeout)))

    async def broadcast(self, message: Any, *, timeout: units.Time | None = None) -> list[str]:
        return await self._drive(peers.broadcast(self.sync, message, self.sync._end(timeout)))

    async def _drive(self, steps: peers.Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._perform(step)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _perform(self, step: peers.Step) -> Any:
        if isinstance(step, peers.Ask):
            return await asyncio.wrap_future(step.submit())
        if not isinstance(step, peers.Wait):
            return await self._manager._run(step)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(step.settled()), step.seconds)
        except asyncio.TimeoutError:
            raise concurrent.futures.TimeoutError from None

    def interrupt(self) -> None:
        """Ends whatever it runs now. Does not wait."""
        self.sync.interrupt()

    async def stats(self) -> Stats:
        return await self._manager._run(self.sync.stats)

    async def logs(self) -> str:
        return await self._manager._run(self.sync.logs)

    async def restart(self, grace: units.Time = GRACE) -> None:
        await self._manager._run(self.sync.restart, grace)

    async def stop(self, grace: units.Time = GRACE) -> DeathRecord | None:
        return await self._manager._run(self.sync.stop, grace)

    async def kill(self) -> DeathRecord | None:
        return await self._manager._run(self.sync.kill)

    @property
    def name(self) -> str:
        return self.sync.name

    @property
    def profile(self) -> str:
        return self.sync.profile

    @property
    def state(self) -> str:
        return self.sync.state

    @property
    def record(self) -> DeathRecord | None:
        return self.sync.record

    @property
    def restarts(self) -> int:
        return self.sync.restarts

    def __repr__(self) -> str:
        return f"<aio {self.sync!r}>"


class TopologyVM(VM):
    """As pylua_bioxen_vm.TopologyVM."""

    sync: fleet.TopologyVM

    async def info(self) -> dict[str, Any]:
        return await self._manager._run(self.sync.info)

    async def start(self) -> None:
        await self._manager._run(self.sync.start)

    async def execute(self, code: str | bytes, *args: Any, timeout: units.Time | None = None,
                      on_stdout: OnOutput | None = None, on_stderr: OnOutput | None = None) -> Any:
        await self._manager._run(self.sync.connect)
        return await super().execute(code, *args, timeout=timeout, on_stdout=on_stdout, on_stderr=on_stderr)

    async def call(self, name: str, *args: Any, timeout: units.Time | None = None, on_stdout: OnOutput | None = None,
                   on_stderr: OnOutput | None = None) -> Any:
        await self._manager._run(self.sync.connect)
        return await super().call(name, *args, timeout=timeout, on_stdout=on_stdout, on_stderr=on_stderr)


class Topology:
    """As pylua_bioxen_vm.Topology; in an async with statement it is taken down at the end."""

    def __init__(self, manager: VMManager, topology: fleet.Topology) -> None:
        self._manager = manager
        self.sync = topology
        self.name = topology.name
        self.changes = topology.changes

    async def vms(self) -> dict[str, TopologyVM]:
        """Those that it has now."""
        found = await self._manager._run(lambda: self.sync.vms)
        return {name: TopologyVM(self._manager, vm) for name, vm in found.items()}

    async def get(self, name: str) -> TopologyVM:
        """One of them; KeyError."""
        return TopologyVM(self._manager, await self._manager._run(self.sync.__getitem__, name))

    async def down(self) -> None:
        await self._manager._run(self.sync.down)

    async def __aenter__(self) -> Topology:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.shield(self._manager._run(self.sync.__exit__, None, None, None))

    def __repr__(self) -> str:
        return f"<aio {self.sync!r}>"


def _plain(vm: VM | SyncVM) -> SyncVM:
    return vm.sync if isinstance(vm, VM) else vm


def _host(host: str | VM | SyncVM) -> str | SyncVM:
    return host if isinstance(host, str) else _plain(host)


def _in_loop(callback: OnOutput | None) -> OnOutput | None:
    return None if callback is None else _LoopCall(asyncio.get_running_loop(), callback)


class _LoopCall:
    """Calls a function in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: OnOutput) -> None:
        self._loop = loop
        self._function = function

    def __call__(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self._function, text)


class VMManager:
    """As pylua_bioxen_vm.VMManager. Use it in an async with statement, or await shutdown_all()."""

    def __init__(self, *, programs: spec.Path | None = None, socket: spec.Path | None = None) -> None:
        self.sync = sync.VMManager(programs=programs, socket=socket)
        self._threads = concurrent.futures.ThreadPoolExecutor(_STARTERS, "bioxen-aio")
        self._vms: dict[str, VM] = {}
        self._started: set[asyncio.Task[Any]] = set()  # a loop does not keep its tasks

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def create_vm(self, name: str, *, profile: str = "restricted", memory: units.Size | None = None,
                        cpus: int | float | str | None = None, timeout: units.Time | None = None,
                        cpu_time: units.Time | None = None, pids: int | None = None,
                        output_limit: units.Size | None = None, env: Mapping[str, str] | None = None,
                        args: Iterable[str | bytes] = (), mounts: Iterable[spec.Mount] = (),
                        script: spec.Path | None = None, log_limit: units.Size = spec.LOG_LIMIT,
                        networked: bool | None = None) -> VM:
        def create() -> SyncVM:
            return self.sync.create_vm(name, profile=profile, memory=memory, cpus=cpus, timeout=timeout,
                                       cpu_time=cpu_time, pids=pids, output_limit=output_limit, env=env, args=args,
                                       mounts=mounts, script=script, log_limit=log_limit, networked=networked)

        started = self._threads.submit(create)
        try:
            return self._wrap(await asyncio.wrap_future(started))
        except asyncio.CancelledError:
            started.add_done_callback(_discard)  # nobody will ever have a handle of it
            raise

    def _wrap(self, vm: SyncVM) -> VM:
        """One wrapper for a VM, as long as it lives."""
        known = self._vms.get(vm.name)
        if known is None or known.sync is not vm:
            living = self.sync.vms
            self._vms = {name: wrapper for name, wrapper in self._vms.items() if living.get(name) is wrapper.sync}
            known = self._vms[vm.name] = VM(self, vm)
        return known

    @property
    def vms(self) -> dict[str, VM]:
        return {name: self._wrap(vm) for name, vm in self.sync.vms.items()}

    def get(self, name: str) -> VM:
        return self._wrap(self.sync.get(name))

    def start_server_vm(self, name: str, port: int) -> asyncio.Task[Any]:
        """As VMManager.start_server_vm; the task can be awaited. The same goes for those that follow."""
        return self._start(name, lambda vm: peers.serve(vm, peers.check_port(port)))

    def start_client_vm(self, name: str, host: str | VM | SyncVM, port: int, message: Any) -> asyncio.Task[Any]:
        return self._start(name, lambda vm: peers.send_once(vm, _host(host), peers.check_port(port), message))

    def start_p2p_vm(self, name: str, port: int, host: str | VM | SyncVM, peer_port: int) -> asyncio.Task[Any]:
        return self._start(name, lambda vm: peers.join(vm, peers.check_port(port), _host(host),
                                                       peers.check_port(peer_port)))

    def _start(self, name: str, steps: Callable[[SyncVM], peers.Steps[Any]]) -> asyncio.Task[Any]:
        vm = self.get(name)
        task = asyncio.get_running_loop().create_task(vm._drive(steps(vm.sync)))
        self._started.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._started.discard(task)
        if not task.cancelled():
            task.exception()  # nobody need look at it

    async def up(self, file: spec.Path, *, wait: bool = False, dry_run: bool = False) -> Topology:
        """As VMManager.up."""
        return Topology(self, await self._run(lambda: self.sync.up(file, wait=wait, dry_run=dry_run)))

    async def topologies(self) -> dict[str, Topology]:
        """As VMManager.topologies."""
        found = await self._run(self.sync.topologies)
        return {name: Topology(self, topology) for name, topology in found.items()}

    async def check(self, file: spec.Path) -> list[Fault]:
        """As VMManager.check."""
        return await self._run(self.sync.check, file)

    async def map(self, code: str | bytes, items: Iterable[Any], *, workers: int | None = None,
                  timeout: units.Time | None = None, on_progress: Callable[[int, int], object] | None = None,
                  **options: Any) -> list[Any]:
        """As VMManager.map; on_progress runs in the loop's thread."""
        loop = asyncio.get_running_loop()

        def report(done: int, total: int) -> None:
            if on_progress is not None:
                loop.call_soon_threadsafe(on_progress, done, total)

        def run() -> list[Any]:
            return self.sync.map(code, items, workers=workers, timeout=timeout, on_progress=report, **options)

        return await self._run(run)

    async def events(self) -> AsyncIterator[Event]:
        """What happens to its VMs from the first step of the iteration on."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Event | None] = asyncio.Queue()
        await self._run(self.sync._follow)
        stream = self.sync._publisher.subscribe(lambda event: loop.call_soon_threadsafe(waiting.put_nowait, event))
        try:
            while (event := await waiting.get()) is not None:
                yield event
        finally:
            stream.close()

    async def shutdown_all(self, grace: units.Time = GRACE) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.sync.shutdown_all, grace)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> VMManager:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await asyncio.shield(self.shutdown_all())

    def __repr__(self) -> str:
        return f"<aio {self.sync!r}>"


def _discard(started: concurrent.futures.Future[SyncVM]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().kill()
