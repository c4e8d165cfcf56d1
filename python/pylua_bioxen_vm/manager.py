"""VMManager: an orchestrator, private or a daemon's, and the VMs that it runs."""

from __future__ import annotations

import atexit
import collections
import contextlib
import logging
import os
import signal
import threading
import warnings
import weakref
from types import TracebackType
from typing import Any, Callable, Iterable, Iterator, Mapping

from . import _core, futures, peers, programs, spec, topology, units
from . import vm as vm_module
from .errors import BioxenError, Fault, VMExists, VMNotFound, forgotten
from .events import Event, EventStream, Publisher
from .fleet import Topology, about
from .mapping import Mapper
from .peers import PeerFuture
from .records import death_record, told_record
from .vm import GRACE, VM

log = logging.getLogger("pylua_bioxen_vm")

_managers: weakref.WeakSet[VMManager] = weakref.WeakSet()

#: Deaths that are kept for handles that are being made.
_EARLY = 1000

#: How long the ends of all VMs are waited for before the orchestrator itself is ended, seconds.
_END = 30.0


def _start_thread(name: str, body: Callable[..., None], *arguments: Any) -> threading.Thread:
    """A thread that no signal is delivered to: they are for the threads that wait for calls."""
    thread = threading.Thread(target=body, args=arguments, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread


def _control(core: _core.Core, reference: weakref.ref[VMManager]) -> None:
    while True:
        news = core.control()
        if news is None:
            return
        manager = reference()
        if manager is not None and news[0] == 0:
            manager._on_change(news[1] or {})
        elif manager is not None:
            manager._on_death(*news)
        del manager


def _hand_out(core: _core.Core) -> None:
    while True:
        batch = core.dispatch()
        if batch is None:
            return
        for future, ok, value in batch:
            future._finish(ok, value)


class _Runtime:
    """What a manager has to close; it holds no reference to the manager."""

    def __init__(self, core: _core.Core) -> None:
        self.core = core
        self.process = os.getpid()
        self.lives: dict[int, _core.Life] = {}
        self.threads: list[threading.Thread] = []
        self.publisher = Publisher()
        self.closed = False
        self.lock = threading.Lock()

    def close(self) -> None:
        if os.getpid() != self.process:
            return
        if threading.current_thread() in self.threads:  # the garbage collector may run anywhere
            _start_thread("bioxen-close", self.close)
            return
        with self.lock:
            if not self.closed:
                self.closed = True
                self._end()

    def _end(self) -> None:
        lives = list(self.lives.values())
        for life in lives:
            life.kill()
        for life in lives:
            life.wait(_END)
        self.core.stop_control()
        for thread in self.threads[:1]:
            thread.join()
        self.core.close()
        self.core.stop_dispatch()
        for thread in self.threads[1:]:
            thread.join()
        self.publisher.close()


def _finalize(runtime: _Runtime) -> None:
    if not runtime.closed and os.getpid() == runtime.process:
        warnings.warn("a VMManager was not closed: use it in a with statement, or call shutdown_all()", ResourceWarning,
                      stacklevel=2)
        runtime.close()


def _place(programs: spec.Path | None, socket: spec.Path | None) -> tuple[bytes, bool]:
    """Where the orchestrator is, and whether it is a daemon's."""
    if socket is None:
        return os.fsencode(find_programs(programs)), False
    if programs is not None:
        raise ValueError("programs: a daemon, which socket= joins, has its own")
    return os.fsencode(socket), True


class VMManager:
    """Makes VMs and looks after them. They end with it: use it in a with statement, or call shutdown_all()."""

    def __init__(self, *, programs: spec.Path | None = None, socket: spec.Path | None = None) -> None:
        """`programs` is the directory of bioxend, bioxen-jailer and bioxen-vm; they are found by default. With `socket`
        it joins the daemon that listens there, in place of an orchestrator of its own."""
        self._where, self._joins = _place(programs, socket)
        self._runtime = _Runtime((_core.join if self._joins else _core.open)(self._where))
        self._core = self._runtime.core
        self._publisher: Publisher = self._runtime.publisher
        self._vms: dict[str, VM] = {}
        self._by_serial: dict[int, weakref.ref[VM]] = {}
        self._reserved: set[str] = set()
        self._expected: set[int] = set()  # lives whose death is to be told
        self._early: dict[int, tuple[dict[str, Any] | None]] = {}  # deaths of lives that nobody has a handle of yet
        self._ports: peers.Ports = peers.Ports()
        self._links: peers.Links = peers.Links()
        self._receivers: collections.Counter[int] = collections.Counter()  # calls that wait for a message, by life
        self._lock = threading.Lock()
        self._dispatching = self._follows = self._live = False
        _managers.add(self)
        self._runtime.threads.append(_start_thread("bioxen-control", _control, self._core, weakref.ref(self)))
        self._finalizer = weakref.finalize(self, _finalize, self._runtime)
        self._finalizer.atexit = False

    # ---- VMs ----

    def create_vm(self, name: str, *, profile: str = "restricted", memory: units.Size | None = None,
                  cpus: int | float | str | None = None, timeout: units.Time | None = None,
                  cpu_time: units.Time | None = None, pids: int | None = None,
                  output_limit: units.Size | None = None, env: Mapping[str, str] | None = None,
                  args: Iterable[str | bytes] = (), mounts: Iterable[spec.Mount] = (),
                  script: spec.Path | None = None, log_limit: units.Size = spec.LOG_LIMIT,
                  networked: bool | None = None) -> VM:
        """Makes a VM, and returns when it runs. `timeout` is the default time of each call to it. A limit that is given
        and that the host cannot enforce is a HostError. `networked`: True is in the manager's network from its start,
        None from the first call that needs it, and False never is."""
        wanted = spec.make(name, profile, memory, cpus, timeout, cpu_time, pids, output_limit, env, args, mounts, script,
                           log_limit, networked)
        life = self._start(wanted)
        vm = VM(self, wanted, life)
        self._adopt(vm, life, "created")
        return vm

    def _start(self, wanted: spec.Spec) -> _core.Life:
        """A life, whose name is reserved until it is adopted."""
        self._check_open()
        name = wanted.name
        with self._lock:
            if self._living(name) is not None or name in self._reserved:
                raise VMExists(f"there is a VM '{name}' already; stop it first, or take another name", vm=name)
            self._reserved.add(name)
        try:
            return spec.start(self._core, wanted)
        except BaseException:
            with self._lock:
                self._reserved.discard(name)
            raise

    def _adopt(self, vm: VM, life: _core.Life, event: str) -> None:
        """From here on its death is expected; it may have been told of already."""
        with self._lock:
            self._runtime.lives[life.serial] = life
            self._by_serial[life.serial] = weakref.ref(vm)
            self._vms[vm.name] = vm
            self._reserved.discard(vm.name)
        log.info("VM %s: %s, profile %s", vm.name, event, vm.profile)
        self._publisher.publish(Event(event, vm.name))
        with self._lock:
            early = self._early.pop(life.serial, ())
            self._expected.add(life.serial)
        for raw in early:
            self._on_death(life.serial, raw)

    def _on_death(self, serial: int, raw: dict[str, Any] | None) -> None:
        """In the order created, died, whatever comes first."""
        with self._lock:
            if serial not in self._expected:
                self._early[serial] = (raw,)
                while len(self._early) > _EARLY:  # of VMs whose making was given up
                    del self._early[next(iter(self._early))]
                return
            self._expected.discard(serial)
            vm = self._by_serial.pop(serial)()
            life = self._runtime.lives.pop(serial)
            if vm is not None and self._vms.get(vm.name) is vm and vm._life is life:
                del self._vms[vm.name]
        if vm is not None:
            self._part(life, vm.name)
        name = raw["name"] if raw is not None else (vm.name if vm is not None else "?")
        record = None if raw is None else death_record(raw, vm.restarts if vm is not None else 0)
        log.info("VM %s: %s", name, record if record is not None else "the orchestrator is gone")
        self._publisher.publish(Event("died", name, record))

    def _part(self, life: _core.Life, name: str) -> None:
        """Those that wait for a message of it look up: any request makes them."""
        for peer in self._links.drop(life, name):
            with self._lock:
                waits = self._receivers[peer.serial] > 0
                reference = self._by_serial.get(peer.serial)
            vm = reference() if reference is not None and waits else None
            if vm is not None:
                with contextlib.suppress(BioxenError):
                    vm.submit("")

    @contextlib.contextmanager
    def _receiver(self, life: _core.Life) -> Iterator[None]:
        with self._lock:
            self._receivers[life.serial] += 1
        try:
            yield
        finally:
            with self._lock:
                self._receivers[life.serial] -= 1
                if self._receivers[life.serial] <= 0:
                    del self._receivers[life.serial]

    def _living(self, name: str) -> VM | None:
        """The lock is held. One that has died is not there any more, though its death may not have been told yet."""
        vm = self._vms.get(name)
        return vm if vm is not None and not vm._life.dead else None

    def _known(self, name: str) -> VM | None:
        """The VM of that name; it may have died just now."""
        with self._lock:
            return self._vms.get(name)

    @property
    def vms(self) -> dict[str, VM]:
        """The VMs that live, by name."""
        with self._lock:
            return {name: vm for name, vm in self._vms.items() if not vm._life.dead}

    def get(self, name: str) -> VM:
        """The VM of that name, which lives; VMNotFound if there is none."""
        with self._lock:
            vm = self._living(name)
        if vm is None:
            raise VMNotFound(f"there is no VM '{name}'", vm=name)
        return vm

    # ---- VMs that talk to each other ----

    def start_server_vm(self, name: str, port: int) -> PeerFuture:
        """Has a VM listen on a port. The future's result is the first message that comes, which the VM's
        receive_message still returns."""
        return PeerFuture(peers.serve(self.get(name), peers.check_port(port)))

    def start_client_vm(self, name: str, host: str | VM, port: int, message: Any) -> PeerFuture:
        """Has a VM connect to a port, and send a message. The future's result, when that is done, is the name of the VM
        that serves the port."""
        return PeerFuture(peers.send_once(self.get(name), host, peers.check_port(port), message))

    def start_p2p_vm(self, name: str, port: int, host: str | VM, peer_port: int) -> PeerFuture:
        """Has a VM listen on a port, and connect to another's. The future's result, when that is done, is the name of
        the VM that serves the other port."""
        return PeerFuture(peers.join(self.get(name), peers.check_port(port), host, peers.check_port(peer_port)))

    # ---- many at once ----

    def map(self, code: str | bytes, items: Iterable[Any], *, workers: int | None = None,
            timeout: units.Time | None = None, on_progress: Callable[[int, int], object] | None = None,
            **options: Any) -> list[Any]:
        """Runs `code` once for each item, which is its ``...``, spread over `workers` fresh VMs (default: one for each
        processor), and returns the results in the order of the items. `timeout` is for each item; `on_progress(done,
        total)` is called after each; `options` are create_vm's. The first error ends the rest and is raised."""
        mapper = Mapper(self, code, list(items), timeout, on_progress, options)
        return mapper.run(workers)

    # ---- topologies ----

    def check(self, file: spec.Path) -> list[Fault]:
        """What is to be warned of in a topology file; TopologyError with all that is wrong with it. Starts nothing."""
        self._check_open()
        return topology.check(self._where, self._joins, topology.read(file))[1]

    def up(self, file: spec.Path, *, wait: bool = False, dry_run: bool = False) -> Topology:
        """Makes what is there into what a topology file says; only what differs is touched. Returns when every VM has
        started, or with `wait` when every VM is ready (or has ended well). TopologyError when the file is wrong, and
        then nothing has changed. With `dry_run` it only says what it would do, in the result's `changes`."""
        self._check_open()
        source = topology.read(file)
        checked, _ = topology.check(self._where, self._joins, source)
        changes = topology.up(self._core, checked, source, wait, dry_run)
        return Topology(self, str(changes["topology"]), changes)

    def topologies(self) -> dict[str, Topology]:
        """Those that are up, by name; at a daemon also those that others brought up."""
        listed = about(self, _core.ABOUT_TOPOLOGIES)[0] or []
        return {one["name"]: Topology(self, one["name"]) for one in listed}

    # ---- looking on ----

    def events(self) -> EventStream:
        """What happens to its VMs and topologies from now on: an iterator that ends with the manager."""
        self._follow()
        return self._publisher.subscribe()

    def _follow(self) -> None:
        """Topologies are told of from the first time on that somebody wants to know."""
        self._check_process()
        with self._lock:
            follows, self._follows = self._follows, True
        if not follows and not self._runtime.closed:
            self._core.follow()

    def _on_change(self, change: dict[str, Any]) -> None:
        if change.get("event") == "live":
            self._live = True
        elif self._live:  # before that it is told what there is
            raw = change.get("record")
            record = None if raw is None else told_record(raw)
            self._publisher.publish(Event(str(change.get("event")), str(change.get("vm", "")), record,
                                          topology=str(change.get("topology", "")), details=change))

    def __repr__(self) -> str:
        if self._runtime.process != os.getpid():
            return "<VMManager of another process>"
        return f"<VMManager {'closed' if self._runtime.closed else f'{len(self._vms)} VMs'}>"

    # ---- its end ----

    def shutdown_all(self, grace: units.Time = GRACE) -> None:
        """Stops every VM, kills those that have not ended after `grace`, and ends the orchestrator. The manager is
        of no more use then. May be called again."""
        self._check_process()
        if not self._runtime.closed:
            for vm in self.vms.values():
                try:
                    vm._ask_to_stop(grace)
                except BioxenError:
                    pass  # the orchestrator is gone, and the VM with it
            wait = units.seconds(grace, "grace") + 1
            for life in list(self._runtime.lives.values()):
                life.wait(wait)
        self._runtime.close()
        with self._lock:
            self._vms.clear()

    def __enter__(self) -> VMManager:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        hurry = kind is not None and not issubclass(kind, Exception)  # Ctrl-C wants out
        self.shutdown_all("1ms" if hurry else GRACE)

    # ---- for the rest of the package ----

    def _check_process(self) -> None:
        if self._runtime.process != os.getpid():
            raise forgotten()

    def _check_open(self) -> None:
        self._check_process()
        if self._runtime.closed:
            raise BioxenError("this manager is closed")

    def _dispatch(self) -> None:
        """Futures need a thread that looks after them."""
        if self._dispatching:
            return
        self._check_process()
        with self._lock:
            if not self._dispatching:
                self._runtime.threads.append(_start_thread("bioxen-dispatch", _hand_out, self._core))
                self._dispatching = True

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a VMManager cannot be pickled; its VMs can, for use in the same process")


find_programs = programs.directory


def _after_fork_in_child() -> None:
    for manager in list(_managers):
        manager._core.forget()
    _managers.clear()
    vm_module.forget_process()
    futures.forget_process()


def _at_exit() -> None:
    for manager in list(_managers):
        manager._runtime.close()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
