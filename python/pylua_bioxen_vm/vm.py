"""One VM, and the future of a call to it."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, TextIO

from . import _core, errors, peers, spec, units
from .errors import BioxenError, VMNotFound
from .futures import CallFuture
from .records import DeathRecord, Stats, death_record

if TYPE_CHECKING:
    from .manager import VMManager

OnOutput = Callable[[str], object]

#: How long a VM is given to end by itself when it is stopped, seconds.
GRACE = 1.0
#: How much longer the orchestrator may take to report an end; it never does.
_REPORT = 30.0

_handles: weakref.WeakValueDictionary[int, VM] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)
_process = os.urandom(16)  # a handle that was pickled is found again in the process with the same


class _Listener:
    """Hands output on as text, whole characters at a time."""

    def __init__(self, on_stdout: OnOutput | None, on_stderr: OnOutput | None) -> None:
        self._targets = {1: on_stdout, 2: on_stderr}
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("backslashreplace") for stream in (1, 2)}

    def _hand(self, stream: int, part: bytes, final: bool) -> None:
        target = self._targets.get(stream)
        text = self._decoders[stream].decode(part, final) if target else ""
        if text and target:
            target(text)

    def __call__(self, stream: int, part: bytes) -> None:
        self._hand(stream, part, False)

    def finish(self) -> None:
        for stream in (1, 2):
            self._hand(stream, b"", True)


class VM:
    """A Lua VM. Made by VMManager.create_vm; may be used from any thread. Calls to one VM are served in order."""

    def __init__(self, manager: VMManager, vm_spec: spec.Spec, life: _core.Life) -> None:
        self._manager = manager
        self._spec = vm_spec
        self._life = life
        self._timeout = vm_spec.timeout
        self._lock = threading.RLock()  # stop, restart
        self._stopping = False
        self._restarts = 0
        self._wired: _core.Life | None = None  # the life that was connected to the manager's network
        self._serving: _core.Life | None = None  # the life that has a port of its own
        self._partner: str | None = None  # whom messages go to when that is not said
        self._is_client = False  # it has connected itself, and was not only connected to
        self._number = next(_numbers)
        _handles[self._number] = self

    # ---- calls ----

    def execute(self, code: str | bytes, *args: Any, timeout: units.Time | None = None,
                on_stdout: OnOutput | None = None, on_stderr: OnOutput | None = None) -> Any:
        """Runs a chunk of Lua, with `args` as its ``...``, and returns its results: None for none, the value for one, a
        tuple for several. Globals last from call to call. After `timeout` (default: the VM's) the call is ended."""
        return self._do(_core.EXECUTE, code, args, timeout, on_stdout, on_stderr)

    def call(self, name: str, *args: Any, timeout: units.Time | None = None, on_stdout: OnOutput | None = None,
             on_stderr: OnOutput | None = None) -> Any:
        """Calls a function by its name: a global, or one in tables, as "math.sqrt"."""
        return self._do(_core.CALL, name, args, timeout, on_stdout, on_stderr)

    def submit(self, code: str | bytes, *args: Any, timeout: units.Time | None = None,
               on_stdout: OnOutput | None = None, on_stderr: OnOutput | None = None) -> CallFuture:
        """As execute, without waiting. Output callbacks run in a thread of the manager's."""
        return self._submit(_core.EXECUTE, code, args, timeout, on_stdout, on_stderr)

    def submit_call(self, name: str, *args: Any, timeout: units.Time | None = None, on_stdout: OnOutput | None = None,
                    on_stderr: OnOutput | None = None) -> CallFuture:
        """As call, without waiting."""
        return self._submit(_core.CALL, name, args, timeout, on_stdout, on_stderr)

    def _do(self, kind: int, text: str | bytes, args: tuple[Any, ...], timeout: units.Time | None,
            on_stdout: OnOutput | None, on_stderr: OnOutput | None) -> Any:
        wall = self._timeout if timeout is None else units.seconds(timeout, "timeout")
        if on_stdout is None and on_stderr is None:
            try:
                return self._life.execute(kind, text, args, wall, None)
            except KeyboardInterrupt:
                with contextlib.suppress(BioxenError):
                    self._manager._dispatch()  # it sees to the end of the call that was walked away from
                raise
        listener = _Listener(on_stdout, on_stderr)
        self._manager._dispatch()
        try:
            return self._life.execute(kind, text, args, wall, listener)
        finally:
            listener.finish()

    def _submit(self, kind: int, text: str | bytes, args: tuple[Any, ...], timeout: units.Time | None,
                on_stdout: OnOutput | None, on_stderr: OnOutput | None) -> CallFuture:
        wall = self._timeout if timeout is None else units.seconds(timeout, "timeout")
        future = CallFuture()
        listener = None
        if on_stdout is not None or on_stderr is not None:
            listener = _Listener(on_stdout, on_stderr)
            future.add_done_callback(lambda _, last=listener: last.finish())  # type: ignore[misc]
        self._manager._dispatch()
        future._call = self._life.submit(kind, text, args, wall, listener, future)
        return future

    def interrupt(self) -> None:
        """Ends whatever the VM runs now: that call fails with LuaError "interrupted!"; the VM goes on."""
        self._life.interrupt()

    # ---- other VMs ----

    def start_server(self, port: int, *, timeout: units.Time | None = None) -> None:
        """Listens on a port, and returns when it does. In the manager's network "localhost" at that port means it."""
        peers.drive(peers.start_server(self, port, self._end(timeout)))

    def accept_connections(self, timeout: units.Time | None = 0) -> list[str]:
        """The names of the VMs that it is connected to. Connections are taken by themselves; with a timeout the first
        is waited for, with None for as long as the VM's calls may take."""
        return peers.drive(peers.accept_connections(self, self._end(timeout)))

    def connect_to(self, host: str | VM, port: int, *, timeout: units.Time | None = None) -> str:
        """Connects to a VM's port, and returns the VM's name. `host` is a VM, its name, or "localhost": whichever of
        the manager's VMs serves that port. PeerError if nobody does."""
        return peers.drive(peers.connect_to(self, host, port, self._end(timeout)))

    def establish_p2p_with(self, other: VM, *, timeout: units.Time | None = None) -> None:
        """Connects two VMs, so that each can send to the other."""
        peers.drive(peers.establish_p2p(self, other, self._end(timeout)))

    def send_message(self, message: Any, *, to: str | VM | None = None, timeout: units.Time | None = None) -> None:
        """Sends a value to a VM that it is connected to: by default the one that it connected to last, else the one
        whose message it received last, else the only one. Returns when the message is on its way; PeerError if that VM
        is no more."""
        peers.drive(peers.send(self, message, to, self._end(timeout)))

    def send_data(self, data: str | bytes | bytearray | memoryview, *, to: str | VM | None = None,
                  timeout: units.Time | None = None) -> None:
        """As send_message, of bytes."""
        self.send_message(peers.check_data(data), to=to, timeout=timeout)

    def receive_message(self, timeout: units.Time | None = None) -> Any:
        """The next message that was sent to it. VMTimeoutError when none comes in time (0: not at all), PeerError when
        none can come."""
        return self.receive_from(timeout)[1]

    def receive_from(self, timeout: units.Time | None = None) -> tuple[str, Any]:
        """As receive_message, with the sender's name before it."""
        return peers.drive(peers.receive(self, self._end(timeout)))

    def broadcast(self, message: Any, *, timeout: units.Time | None = None) -> list[str]:
        """Sends a value to every VM that it is connected to, and returns their names."""
        return peers.drive(peers.broadcast(self, message, self._end(timeout)))

    def _end(self, timeout: units.Time | None) -> float | None:
        if timeout is None:
            return peers.until(self._timeout)
        return peers.until(0.0 if timeout == 0 else units.seconds(timeout, "timeout"))

    # ---- what it is ----

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def profile(self) -> str:
        return self._spec.profile

    @property
    def manager(self) -> VMManager:
        return self._manager

    @property
    def state(self) -> str:
        """ "running", "stopping", "stopped" (it was asked to end), "ended" (it did so itself, or a limit ended it)."""
        if not self._life.dead:
            return "stopping" if self._stopping else "running"
        raw = self._life.record
        return "stopped" if raw and raw["outcome"] in ("stopped", "killed") else "ended"

    @property
    def restarts(self) -> int:
        """How often it was restarted."""
        return self._restarts

    @property
    def record(self) -> DeathRecord | None:
        """How it ended; None while it lives."""
        raw = self._life.record
        return None if raw is None else death_record(raw, self._restarts)

    def stats(self) -> Stats:
        """What it uses now."""
        life = self._life
        if life.dead:
            raise errors.died(self.name, self.record)
        try:
            return Stats(*life.stats())
        except errors.HostError:
            if life.wait(0.1):
                raise errors.died(self.name, self.record) from None
            raise

    def logs(self) -> str:
        """What it printed last on both streams, up to log_limit bytes of it. Of a restarted VM: since the restart."""
        life = self._life
        if not life.dead:
            try:
                life.stats()  # what was printed before now has come when this has
            except BioxenError:
                pass
        return errors.text(life.logs())

    def __repr__(self) -> str:
        try:
            state = self.state
        except BioxenError:
            state = "of another process"
        return f"<VM {self.name!r} {state}, {self.profile}, {self._restarts} restarts>"

    # ---- its end ----

    def stop(self, grace: units.Time = GRACE) -> DeathRecord | None:
        """Lets it close its state (finalizers run), and waits for its end; kills it when the grace is over."""
        self._ask_to_stop(grace)
        return self._wait_end()

    def kill(self) -> DeathRecord | None:
        """Ends it at once, and waits for that."""
        self._stopping = True
        self._life.kill()
        return self._wait_end()

    def restart(self, grace: units.Time = GRACE) -> None:
        """Ends it if it lives, and makes it anew: a fresh state, the script is run again, the handle stays."""
        with self._lock:
            if not self._life.dead:
                self.stop(grace)
            life = self._manager._start(self._spec)
            self._life = life
            self._stopping = self._is_client = False
            self._partner = None
            self._restarts += 1
            self._manager._adopt(self, life, "restarted")

    def _ask_to_stop(self, grace: units.Time = GRACE) -> None:
        self._stopping = True
        self._life.stop(units.seconds(grace, "grace"))

    def _wait_end(self) -> DeathRecord | None:
        life = self._life
        if not life.wait(_REPORT):
            raise errors.HostError(f"VM '{self.name}': its end was not reported", vm=self.name)
        return self.record

    def attach(self, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        """A prompt: reads lines, runs them in the VM, prints what they return. Ctrl-D leaves; the VM lives on."""
        from .prompt import Prompt
        Prompt(self, stdin, stdout).run()

    # ---- pickling: a handle is found again, in this process only ----

    def __reduce__(self) -> tuple[Any, ...]:
        return _find_handle, (_process, self._number, self.name)


def _find_handle(process: bytes, number: int, name: str) -> VM:
    vm = _handles.get(number) if process == _process else None
    if vm is not None:
        return vm
    where = "it is gone" if process == _process else "it belongs to another process"
    raise VMNotFound(f"the handle of VM '{name}' cannot be unpickled here: {where}", vm=name)


def forget_process() -> None:
    """In a child after fork: handles from before are the parent's."""
    global _process
    _process = os.urandom(16)


