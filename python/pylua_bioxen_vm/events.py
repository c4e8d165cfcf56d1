"""What happens to a manager's VMs, as it happens."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from typing import Any, Callable, Iterator, Mapping

from .records import DeathRecord

#: Events that wait for a reader who is slow; above that the oldest are dropped, and counted.
KEPT = 10_000


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a VM, or to a topology."""

    type: str  #: "created", "restarted", "died"; of topologies what `bioxen events` tells: "start", "ready", "death" ...
    vm: str
    record: DeathRecord | None = None  #: of "died"; None when the orchestrator went away
    time: float = dataclasses.field(default_factory=time.time)
    topology: str = ""  #: whose VM it is; "": the manager's own
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: of a topology: all that was told


class EventStream:
    """An iterator over events from the moment it was made, to the end of its manager. Also a context manager."""

    def __init__(self) -> None:
        self._events: collections.deque[Event] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0  #: events that were lost because nobody read them in time

    def _put(self, event: Event) -> None:
        with self._changed:
            if len(self._events) >= KEPT:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event; None when the time is up or the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed, timeout)
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.get()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Callback(EventStream):
    """A stream that calls a function with each event instead of keeping it, and with None at its end."""

    def __init__(self, function: Callable[[Event | None], object]) -> None:
        super().__init__()
        self._function = function

    def _put(self, event: Event) -> None:
        self._call(event)

    def close(self) -> None:
        if not self._closed:
            super().close()
            self._call(None)

    def _call(self, event: Event | None) -> None:
        try:
            self._function(event)
        except RuntimeError:  # its loop has ended
            self._closed = True


class Publisher:
    """Hands every event to every stream."""

    def __init__(self) -> None:
        self._streams: list[EventStream] = []
        self._lock = threading.Lock()
        self._closed = False

    def subscribe(self, function: Callable[[Event | None], object] | None = None) -> EventStream:
        stream = EventStream() if function is None else Callback(function)
        with self._lock:
            if self._closed:
                stream.close()
            self._streams = [s for s in self._streams if not s._closed] + [stream]
        return stream

    def publish(self, event: Event) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            if not stream._closed:
                stream._put(event)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.close()
