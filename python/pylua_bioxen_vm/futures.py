"""The future of a submitted call: a concurrent.futures.Future that costs little while nobody looks at it.

The standard one makes a condition with a lock, and two lists, before anything is known of it, which takes longer than a
whole call. Here a condition is made when somebody waits for the future, adds a callback, or otherwise asks for it. A
future that ends before that gets the one condition that all of these share. Which of the two it is, is decided once, by
dict.setdefault, and under the shared condition's lock for who ends it; so whoever holds a future's condition sees a state
that stays, as with the standard one.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import Any, Callable

from . import _core

#: Of futures that ended unseen. Re-entrant: whoever waits for several futures may hold it for each of them.
_UNSEEN = threading.Condition()


def forget_process() -> None:
    """In a child after fork: a thread that is not here may have held it."""
    global _UNSEEN
    _UNSEEN = threading.Condition()


class _Made:
    """An attribute that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: Any, name: str) -> None:
        self._name = name

    def __get__(self, future: CallFuture | None, owner: Any = None) -> Any:
        return self if future is None else future.__dict__.setdefault(self._name, self._make())


class CallFuture(Future):  # type: ignore[type-arg]
    """The result of a submitted call. cancel() ends the call also when it runs already."""

    _condition = _Made(threading.Condition)
    _waiters = _Made(list)
    _done_callbacks = _Made(list)
    _state: Any = PENDING
    _result: Any = None
    _exception: BaseException | None = None
    _call: _core.Call | None = None

    def __init__(self) -> None:
        pass  # all of it is in the class until it changes

    def cancel(self) -> bool:
        claim = self._call.cancel() if self._call is not None else _core.CANCEL_LATE
        if claim == _core.CANCEL_DONE:
            super().cancel()
            self.set_running_or_notify_cancel()
        return claim != _core.CANCEL_LATE

    def done(self) -> bool:
        return self._state in (FINISHED, CANCELLED, CANCELLED_AND_NOTIFIED)

    def result(self, timeout: float | None = None) -> Any:
        if self._state == FINISHED and self._exception is None:
            return self._result
        return super().result(timeout)

    def _finish(self, ok: bool, value: Any) -> None:
        """Called once, by the dispatcher, and never for one that was cancelled."""
        with _UNSEEN:
            unseen = self.__dict__.setdefault("_condition", _UNSEEN) is _UNSEEN
            if unseen:
                if ok:
                    self._result = value
                else:
                    self._exception = value
                self._state = FINISHED
        if not unseen:
            (self.set_result if ok else self.set_exception)(value)
