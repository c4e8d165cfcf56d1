"""Topologies that are up, and handles of their VMs: what VMManager.up returns."""

from __future__ import annotations

import errno
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from . import _core, errors, units
from .errors import BioxenError, HostError, PeerError, VMDied, VMNotFound
from .records import DeathRecord, told_record
from .vm import GRACE, VM

if TYPE_CHECKING:
    from .manager import VMManager


def about(manager: VMManager, what: int, name: str | None = None, grace: units.Time = GRACE) -> Any:
    """What the orchestrator answers. VMNotFound when it knows nobody of that name."""
    manager._check_open()
    try:
        return manager._core.about(what, name, units.seconds(grace, "grace"))
    except HostError as error:
        if error.errno == errno.ENOENT:
            raise VMNotFound(str(error), vm=name or "") from None
        raise


class TopologyVM(VM):
    """A VM of a topology. It belongs to the orchestrator, not to this handle, and outlives its process: each call is
    for whichever process it has then. Whom it may talk to is said in the topology's file."""

    def __init__(self, manager: VMManager, topology: str, name: str) -> None:
        self._manager = manager
        self._topology = topology
        self._name = name
        self._path = f"{topology}/{name}"
        self._timeout = None
        self._lock = threading.RLock()
        self._current: _core.Life | None = None

    # ---- calls ----

    @property
    def _life(self) -> _core.Life:  # type: ignore[override]
        """A session with the process that it has now."""
        with self._lock:
            if self._current is None or self._current.dead:
                info = self.info()
                number = info.get("number")
                if info["state"] != "running" or number is None:
                    raise self._ended(info)
                try:
                    self._current = self._manager._core.take(self._path, number)
                except HostError as error:
                    raise self._ended(self.info()) if error.errno == errno.ESRCH else error
            return self._current

    def connect(self) -> None:
        """Calls do so by themselves. VMDied when it is not running."""
        self._life  # noqa: B018

    def _ended(self, info: Mapping[str, Any]) -> BioxenError:
        record = None if info["last_death"] is None else told_record(info["last_death"])
        return VMDied(f"VM '{self._path}' is not running: it is {info['state']}" + (f" ({record})" if record else ""),
                      record=record, vm=self._path)

    def _end(self, timeout: units.Time | None) -> float | None:
        raise PeerError(f"VM '{self._path}': whom a topology's VM talks to is said in the topology's file, and done by "
                        "its own code", vm=self._path)

    # ---- what it is ----

    def info(self) -> dict[str, Any]:
        """All that the orchestrator knows about it."""
        return dict(about(self._manager, _core.ABOUT_VM, self._path)[0])

    @property
    def name(self) -> str:
        return self._name

    @property
    def topology(self) -> str:
        return self._topology

    @property
    def profile(self) -> str:
        return str(self.info()["profile"])

    @property
    def state(self) -> str:
        """"waiting" (for what it depends on), "starting", "running", "stopping", "ended", "stopped" or "failed"."""
        return str(self.info()["state"])

    @property
    def ready(self) -> bool:
        return bool(self.info()["ready"])

    @property
    def restarts(self) -> int:
        return int(self.info()["restarts"])

    @property
    def record(self) -> DeathRecord | None:
        """How its last process ended; None when none has."""
        raw = self.info()["last_death"]
        return None if raw is None else told_record(raw)

    def logs(self) -> str:
        """The last 64 KiB that it printed on both streams, in all of its lives."""
        return errors.text(about(self._manager, _core.ABOUT_LOGS, self._path)[1])

    def __repr__(self) -> str:
        return f"<VM {self._path!r} of a topology>"

    # ---- its lives ----

    def start(self) -> None:
        """Starts it when it is down."""
        about(self._manager, _core.ABOUT_START, self._path)

    def stop(self, grace: units.Time = GRACE) -> None:
        """Ends it, and keeps it down; kills it when the grace is over."""
        about(self._manager, _core.ABOUT_STOP, self._path, grace)

    def kill(self) -> None:
        """Ends it at once. Its restart policy decides what comes then."""
        about(self._manager, _core.ABOUT_KILL, self._path)

    def restart(self, grace: units.Time = GRACE) -> None:
        """Ends it if it lives, and starts it."""
        about(self._manager, _core.ABOUT_RESTART, self._path, grace)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a handle of a topology's VM cannot be pickled; its topology and its name can")


class Topology(Mapping[str, TopologyVM]):
    """A topology that is up: its VMs by name. In a with statement it is taken down at the end."""

    def __init__(self, manager: VMManager, name: str, changes: Mapping[str, Any] | None = None) -> None:
        self._manager = manager
        self.name = name
        self.changes = dict(changes or {})  #: what `up` did, or would do
        self._vms: dict[str, TopologyVM] = {}

    def _list(self) -> list[dict[str, Any]]:
        return list(about(self._manager, _core.ABOUT_VMS, self.name)[0])

    @property
    def vms(self) -> dict[str, TopologyVM]:
        """Those that it has now."""
        return {name: self[name] for name in self}

    def __getitem__(self, name: str) -> TopologyVM:
        if name not in self._vms:
            if all(vm["name"] != name for vm in self._list()):
                raise KeyError(name)
            self._vms[name] = TopologyVM(self._manager, self.name, name)
        return self._vms[name]

    def __iter__(self) -> Iterator[str]:
        return iter([vm["name"] for vm in self._list()])

    def __len__(self) -> int:
        return len(self._list())

    def down(self) -> None:
        """Takes it down: nothing of it is left."""
        about(self._manager, _core.ABOUT_DOWN, self.name)

    def __enter__(self) -> Topology:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        try:
            self.down()
        except VMNotFound:
            pass  # somebody did already

    def __repr__(self) -> str:
        return f"<Topology {self.name!r}>"
