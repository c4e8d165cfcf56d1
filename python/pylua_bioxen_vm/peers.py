"""What VMs do with each other. Each networked call is a generator of steps, for whoever drives it: the thread that
called (drive), a future (PeerFuture), or asyncio (aio.py).

The network's part is done in the VM, by the module "bioxen.roles" that it carries; values travel to it as arguments,
and are never part of a program's text.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any, Callable, Generator, TypeVar, Union

from . import _core, errors
from .errors import HostError, PeerError, VMTimeoutError

if TYPE_CHECKING:
    from .vm import VM

T = TypeVar("T")

#: The port of every VM's mailbox: it is there as soon as the VM has to do with others.
MAILBOX = 25208

#: Names that mean the manager's own network: the VM that serves the port.
_LOCAL = ("localhost", "127.0.0.1", "::1")

#: Whoever waits for a message is told when those that could send one have ended; in case that is missed by a hair, a VM
#: that is only connected, and serves nothing, looks by itself after so many seconds.
_LOOK = 5.0

#: How much later than its own clock says a call that waits in a VM is ended from outside, seconds.
_MARGIN = 2.0

#: A waiting call lets others of its VM pass. One that was asked again stays for this long first, seconds; longer when
#: it happens again and again, so that two who wait do not wake each other up all the time.
_LEAST, _LEAST_MAX, _RESTED = 0.0005, 0.004, 0.02

_CODE = {name: f'return require("bioxen.roles").{name}(...)'
         for name in ("connect", "listen", "open", "peek", "receive", "send")}


@dataclasses.dataclass(frozen=True)
class Ask:
    """Call a function in a VM: the step's result is its results."""

    vm: VM
    role: str
    arguments: tuple[Any, ...]
    seconds: float | None  #: how long it may take

    def submit(self) -> Future[Any]:
        return self.vm.submit(_CODE[self.role], *self.arguments, timeout=self.limit)

    def execute(self) -> Any:
        return self.vm.execute(_CODE[self.role], *self.arguments, timeout=self.limit)

    @property
    def limit(self) -> float:
        return float("inf") if self.seconds is None else self.seconds + _MARGIN


@dataclasses.dataclass(frozen=True)
class Wait:
    """Wait until something is settled, well or not."""

    future: Future[None]
    seconds: float | None

    def settled(self) -> Future[None]:
        """One of the waiter's own, which may be cancelled."""
        own: Future[None] = Future()
        self.future.add_done_callback(lambda _: quietly(own.set_result, None))
        return own


def quietly(end: Callable[..., object], *arguments: Any) -> None:
    """Ends a future that another thread may have ended at the same moment."""
    try:
        end(*arguments)
    except (InvalidStateError, RuntimeError):
        pass


Step = Union[Ask, Wait, Callable[[], object]]  # the last: a short wait for the orchestrator
Steps = Generator[Step, Any, T]


# ---- ports ----

class _Served:
    """A port that a VM serves, in one of its lives."""

    def __init__(self, vm: VM) -> None:
        self.vm = vm
        self.life = vm._life
        self.listening: Future[None] = Future()

    @property
    def is_over(self) -> bool:
        return self.vm._life is not self.life or self.life.dead or \
            self.listening.done() and self.listening.exception() is not None


class Ports:
    """Which VM of a manager serves which port: what "localhost" means to its VMs."""

    def __init__(self) -> None:
        self._served: dict[int, _Served] = {}
        self._lock = threading.Lock()

    def find(self, port: int) -> _Served | None:
        with self._lock:
            served = self._served.get(port)
            return None if served is None or served.is_over else served

    def reserve(self, port: int, vm: VM) -> _Served:
        with self._lock:
            served = self._served.get(port)
            if served is not None and not served.is_over:
                raise PeerError(f"port {port} is served already, by VM '{served.vm.name}'; take another one",
                                vm=vm.name)
            self._served[port] = _Served(vm)
            return self._served[port]


# ---- who is connected to whom ----

class Links:
    """Connections between a manager's VMs, for as long as both live. Each side may send, whoever began."""

    def __init__(self) -> None:
        self._of: dict[int, dict[str, _core.Life]] = {}  # by a life's serial; empty: it had some, and all have ended
        self._changed: Future[None] = Future()
        self._lock = threading.Lock()

    def join(self, one: VM, other: VM) -> None:
        with self._lock:
            for vm, peer in ((one, other), (other, one)):
                self._of.setdefault(vm._life.serial, {})[peer.name] = peer._life
            changed, self._changed = self._changed, Future()
        changed.set_result(None)

    def drop(self, life: _core.Life, name: str) -> list[_core.Life]:
        """It has died. Those that were connected to it."""
        with self._lock:
            peers = list(self._of.pop(life.serial, {}).values())
            for peer in peers:
                if self._of.get(peer.serial, {}).get(name) is life:
                    del self._of[peer.serial][name]
            changed, self._changed = self._changed, Future()
        changed.set_result(None)
        return peers

    def names(self, life: _core.Life) -> tuple[list[str], Future[None]]:
        """Those that it is connected to, and what is settled at the next change."""
        with self._lock:
            return sorted(name for name, peer in self._of.get(life.serial, {}).items() if not peer.dead), self._changed

    def are_over(self, life: _core.Life) -> bool:
        """It was connected, and is no more."""
        with self._lock:
            peers = self._of.get(life.serial)
            return peers is not None and all(peer.dead for peer in peers.values())


def check_port(port: int) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"a port is an int, not {port!r}")
    if not 0 < port < 1 << 16:
        raise ValueError(f"a port is a number from 1 to 65535, not {port}")
    if port == MAILBOX:
        raise ValueError(f"port {port} is every VM's own, for messages; take another one")
    return port


def check_data(data: str | bytes | bytearray | memoryview) -> str | bytes | bytearray | memoryview:
    if not isinstance(data, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"data is bytes or a str, not {type(data).__name__}; send_message sends any value")
    return data


# ---- what the steps have in common ----

def until(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == float("inf") else time.monotonic() + seconds


def _rest(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - time.monotonic())


def _is(answer: Any, why: str) -> bool:
    return isinstance(answer, tuple) and answer[:2] == (None, why)


def _ask(vm: VM, role: str, *arguments: Any, end: float | None, over: Callable[[], bool] | None = None) -> Steps[Any]:
    """Asks again after it had to let others pass; once more, without waiting, when it is `over`."""
    least = 0.0
    while True:
        began, rest, is_over = time.monotonic(), _rest(end), over is not None and over()
        wait = 0.0 if is_over else rest if over is None else min(_LOOK, float("inf") if rest is None else rest)
        answer = yield Ask(vm, role, (*arguments, wait, least), wait)
        if not _is(answer, "timeout") and not _is(answer, "busy"):
            return answer
        if is_over:
            raise _error(vm, "gone")
        if rest == 0.0 or _is(answer, "timeout") and _rest(end) == 0.0:
            raise VMTimeoutError(f"VM '{vm.name}': {_SLOW[role]} in time", vm=vm.name)
        least = _LEAST if time.monotonic() - began > _RESTED else min(_LEAST_MAX, 2 * least + _LEAST)


_SLOW = {
    "connect": "the connection was not made",
    "listen": "it did not come to listening",
    "open": "it did not come to listening",
    "peek": "no message came",
    "receive": "no message came",
    "send": "the message was not taken",
}


def _failed(answer: Any) -> str | None:
    """Why the role could not, when it could not."""
    if isinstance(answer, tuple) and answer[0] is None:
        return ": ".join(part if isinstance(part, str) else repr(part) for part in answer[1:])
    return None


def _error(vm: VM, why: str, peer: str = "", port: int = 0) -> PeerError:
    kind, _, detail = why.partition(": ")
    texts = {
        "refused": f"nobody serves port {port} of '{peer}'",
        "no mailbox": f"'{peer}' takes no messages: it has not called start_server",
        "unknown host": f"there is no '{peer}' that it could reach",
        "in use": f"its port {port} is in use already",
        "permission denied": f"it may not listen at port {port}: take one from 1024 on",
        "away": f"'{peer}' has not answered for a long time ({detail})",
        "gone": f"'{peer}' has ended" if peer else "whoever it was connected to has ended",
        "alone": "it is connected to nobody: start_server, connect_to or establish_p2p_with come first",
    }
    return PeerError(f"VM '{vm.name}': {texts.get(kind, why)}", vm=vm.name)


def _wire(vm: VM) -> Steps[None]:
    """Into the manager's network, if it is not there yet."""
    life = vm._life
    if vm._spec.networked or vm._wired is life:
        return
    if vm._spec.networked is False:
        raise PeerError(f"VM '{vm.name}' was made with networked=False: it has no network", vm=vm.name)
    try:
        yield life.network
    except HostError:
        if life.wait(0.1):
            raise errors.died(vm.name, vm.record) from None
        raise
    vm._wired = life


def _links(vm: VM) -> Links:
    return vm._manager._links


def _check_living(vm: VM, peer: str) -> None:
    """A peer that has died is not waited for. One that is not the manager's is the network's business."""
    known = vm._manager._known(peer)
    if known is not None and known._life.dead:
        raise PeerError(f"VM '{vm.name}': '{peer}' has ended: {known.record}", vm=vm.name)


def _check_same(vm: VM, other: VM) -> None:
    if other._manager is not vm._manager:
        raise PeerError(f"VM '{vm.name}': '{other.name}' is another manager's VM", vm=vm.name)


# ---- the calls ----

def start_server(vm: VM, port: int, end: float | None) -> Steps[None]:
    served = vm._manager._ports.reserve(check_port(port), vm)
    try:
        yield from _wire(vm)
        why = _failed((yield from _ask(vm, "listen", port, end=end)))
        if why is not None:
            raise _error(vm, why, port=port)
    except BaseException as error:
        served.listening.set_exception(error)
        raise
    vm._serving = served.life
    served.listening.set_result(None)


def accept_connections(vm: VM, end: float | None) -> Steps[list[str]]:
    yield from _wire(vm)
    life = vm._life
    while True:
        names, changed = _links(vm).names(life)
        if life.dead:
            raise errors.died(vm.name, vm.record)
        if names or _rest(end) == 0.0:
            return names
        try:
            yield Wait(changed, _rest(end))
        except FutureTimeout:
            raise VMTimeoutError(f"VM '{vm.name}': nobody connected in time", vm=vm.name) from None


def _resolve(vm: VM, host: str | VM, port: int, end: float | None) -> Steps[tuple[str, bool]]:
    """The name of who is meant, and whether it serves that port: then once it listens."""
    served = vm._manager._ports.find(port)
    if isinstance(host, str):
        name = host
    else:
        _check_same(vm, host)
        name = host.name
    if name in _LOCAL:
        if served is None:
            raise PeerError(f"VM '{vm.name}': no VM of this manager serves port {port}; start_server(port={port}) of "
                            "the one that is meant comes first", vm=vm.name)
        name = served.vm.name
    if served is None or served.vm.name != name:
        return name, False
    try:
        yield Wait(served.listening, _rest(end))
    except FutureTimeout:
        raise VMTimeoutError(f"VM '{vm.name}': '{name}' did not come to listening in time", vm=vm.name) from None
    return name, True


def connect_to(vm: VM, host: str | VM, port: int, end: float | None) -> Steps[str]:
    check_port(port)
    yield from _wire(vm)
    name, is_served = yield from _resolve(vm, host, port, end)
    return (yield from _connect(vm, name, None if is_served else port, end))


def _connect(vm: VM, name: str, port: int | None, end: float | None) -> Steps[str]:
    """A port that start_server listens at need not be tried: whether messages get there, is."""
    if name == vm.name:
        raise PeerError(f"VM '{vm.name}' cannot be connected to itself", vm=vm.name)
    _check_living(vm, name)
    why = _failed((yield from _ask(vm, "connect", name, port, end=end)))
    if why is not None:
        raise _error(vm, why, name, port or 0)
    peer = vm._manager._known(name)
    if peer is None:
        raise _error(vm, "gone", name)
    _links(vm).join(vm, peer)
    vm._partner, vm._is_client = name, True
    return name


def establish_p2p(vm: VM, other: VM, end: float | None) -> Steps[None]:
    _check_same(vm, other)
    yield from _wire(vm)
    yield from _wire(other)
    yield from _ask(other, "open", end=end)
    yield from _connect(vm, other.name, None, end)
    if other._partner is None:
        other._partner = vm.name


def _whom(vm: VM, to: str | VM | None) -> str:
    """To whom a message goes when it is not said: see VM.send_message."""
    if to is not None:
        return to if isinstance(to, str) else to.name
    if vm._partner is not None:
        return vm._partner
    names, _ = _links(vm).names(vm._life)
    if len(names) == 1:
        return names[0]
    if not names:
        raise _error(vm, "alone")
    raise PeerError(f"VM '{vm.name}' is connected to several VMs ({', '.join(names[:8])}): say which one, with to=",
                    vm=vm.name)


def send(vm: VM, value: Any, to: str | VM | None, end: float | None) -> Steps[str]:
    yield from _wire(vm)
    peer = _whom(vm, to)
    _check_living(vm, peer)
    why = _failed((yield from _ask(vm, "send", peer, value, end=end)))
    if why is not None:
        raise _error(vm, "gone" if why.startswith("unknown host") and peer == vm._partner else why, peer)
    return peer


def broadcast(vm: VM, value: Any, end: float | None) -> Steps[list[str]]:
    yield from _wire(vm)
    names, _ = _links(vm).names(vm._life)
    if not names:
        raise _error(vm, "gone" if _links(vm).are_over(vm._life) else "alone")
    for name in names:
        yield from send(vm, value, name, end)
    return names


def receive(vm: VM, end: float | None, role: str = "receive") -> Steps[tuple[str, Any]]:
    if vm._spec.networked is None and vm._wired is not vm._life:
        raise _error(vm, "alone")  # nobody can have sent anything to it
    yield from _wire(vm)
    life = vm._life
    with vm._manager._receiver(life):
        answer = yield from _ask(vm, role, end=end, over=lambda: vm._serving is not life and _links(vm).are_over(life))
    why = _failed(answer)
    if why is not None:
        raise _error(vm, why)
    sender, value = answer
    if role == "receive" and not vm._is_client:
        vm._partner = sender
    return sender, value


# ---- what the manager starts ----

def serve(vm: VM, port: int) -> Steps[Any]:
    yield from start_server(vm, port, vm._end(None))
    return (yield from receive(vm, None, "peek"))[1]


def send_once(vm: VM, host: str | VM, port: int, message: Any) -> Steps[str]:
    yield from connect_to(vm, host, port, vm._end(None))
    return (yield from send(vm, message, None, vm._end(None)))


def join(vm: VM, port: int, host: str | VM, peer_port: int) -> Steps[str]:
    yield from start_server(vm, port, vm._end(None))
    return (yield from connect_to(vm, host, peer_port, vm._end(None)))


# ---- who drives the steps ----

def _perform(step: Step) -> Any:
    if isinstance(step, Ask):
        return step.execute()
    if isinstance(step, Wait):
        step.future.exception(step.seconds)
        return None
    return step()


def drive(steps: Steps[T]) -> T:
    """In the thread that calls."""
    try:
        step = next(steps)
        while True:
            try:
                result = _perform(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class PeerFuture(Future):  # type: ignore[type-arg]
    """The end of what manager.start_server_vm and its like have started. cancel() ends it in its VM, too."""

    def __init__(self, steps: Steps[Any]) -> None:
        super().__init__()
        self._steps = steps
        self._inner: Future[Any] | None = None
        self._go_on(None, None)

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        quietly(self.set_running_or_notify_cancel)
        if self._inner is not None:
            self._inner.cancel()
        return True

    def _start(self, step: Step) -> Future[Any]:
        if isinstance(step, Ask):
            return step.submit()
        if isinstance(step, Wait):
            return step.settled()
        done: Future[Any] = Future()
        done.set_result(step())
        return done

    def _go_on(self, result: Any, error: BaseException | None) -> None:
        """To the next step that takes its time."""
        try:
            step = self._steps.send(result) if error is None else self._steps.throw(error)
        except StopIteration as end:
            quietly(self.set_result, end.value)
            return
        except BaseException as failure:
            quietly(self.set_exception, failure)
            return
        try:
            self._inner = self._start(step)
        except BaseException as failure:
            self._go_on(None, failure)
            return
        if self.cancelled():
            self._inner.cancel()
        self._inner.add_done_callback(self._on_done)

    def _on_done(self, inner: Future[Any]) -> None:
        if inner.cancelled():
            self._steps.close()
            quietly(super().cancel)
        elif inner.exception() is not None:
            self._go_on(None, inner.exception())
        else:
            self._go_on(inner.result(), None)
