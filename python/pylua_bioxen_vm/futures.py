"""The future of a submitted call: a concurrent.futures.Future that costs little while nobody looks at it.

The standard one makes a condition, a lock and two lists at once, which is more than a whole call takes otherwise. Here they
are made when somebody waits for the future, adds a callback, or otherwise asks for them. The dispatcher, which ends futures,
first writes the state and then looks whether they were made; everybody else makes them first and then looks at the state.
So one of the two always sees the other.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import Any

from . import _core


class _Made:
    """Makes what the standard future has, when it is asked for."""

    def __get__(self, future: CallFuture | None, owner: Any = None) -> Any:
        if future is None:
            return self
        fields = future.__dict__
        fields.setdefault("_waiters", [])
        fields.setdefault("_done_callbacks", [])
        condition = fields.setdefault("_condition", threading.Condition())
        fields["_watched"] = True
        return condition


class CallFuture(Future):  # type: ignore[type-arg]
    """The result of a submitted call. cancel() ends the call also when it runs already."""

    _condition = _Made()
    _waiters: Any = ()
    _done_callbacks: Any = ()
    _state: Any = PENDING
    _result: Any = None
    _exception: BaseException | None = None
    _watched = False
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
        if ok:
            self._result = value
        else:
            self._exception = value
        self._state = FINISHED
        if self._watched:
            self._announce(ok)

    def _announce(self, ok: bool) -> None:
        with self._condition:
            for waiter in self._waiters:
                (waiter.add_result if ok else waiter.add_exception)(self)
            self._condition.notify_all()
        self._invoke_callbacks()  # type: ignore[attr-defined]
