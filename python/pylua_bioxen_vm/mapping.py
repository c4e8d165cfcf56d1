"""VMManager.map: one thread and one VM for each worker; each takes the next item when it is done with one."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any, Callable

from . import units

if TYPE_CHECKING:
    from .manager import VMManager

_numbers = itertools.count(1)


class Mapper:
    def __init__(self, manager: VMManager, code: str | bytes, items: list[Any], timeout: units.Time | None,
                 on_progress: Callable[[int, int], object] | None, options: dict[str, Any]) -> None:
        self._manager = manager
        self._code = code
        self._items = items
        self._timeout = timeout
        self._on_progress = on_progress
        self._options = options
        self._name = f"map-{next(_numbers)}"
        self._results: list[Any] = [None] * len(items)
        self._lock = threading.Condition()
        self._next = self._done = self._ended = 0
        self._error: BaseException | None = None

    def _take(self) -> int | None:
        with self._lock:
            if self._error is not None or self._next == len(self._items):
                return None
            self._next += 1
            return self._next - 1

    def _finish(self, number: int, result: Any) -> None:
        with self._lock:
            self._results[number] = result
            self._done += 1
            self._lock.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error

    def _work(self, name: str) -> None:
        vm = None
        try:
            while (number := self._take()) is not None:
                if vm is None:
                    vm = self._manager.create_vm(name, **self._options)
                self._finish(number, vm.execute(self._code, self._items[number], timeout=self._timeout))
        except BaseException as error:
            self._fail(error)
        finally:
            try:
                if vm is not None:
                    vm.kill()
            except Exception as error:
                self._fail(error)
            with self._lock:
                self._ended += 1
                self._lock.notify_all()

    def _follow(self, workers: int) -> None:
        """Progress is reported by the thread that asked for the work."""
        told = 0
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._done > told or self._ended == workers)
                done, over = self._done, self._ended == workers
            while told < done:
                told += 1
                if self._on_progress is not None:
                    self._on_progress(told, len(self._items))
            if over and told == self._done:
                return

    def _abort(self, names: list[str]) -> None:
        for vm in (self._manager.vms.get(name) for name in names):
            if vm is not None:
                vm._life.kill()

    def run(self, workers: int | None) -> list[Any]:
        wanted = (os.cpu_count() or 1) if workers is None else units.count(workers, "workers")
        names = [f"{self._name}-{i + 1}" for i in range(min(wanted, len(self._items)))]
        threads = [threading.Thread(target=self._work, args=(name,), name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        try:
            self._follow(len(threads))
        except BaseException as error:  # on_progress failed, or Ctrl-C
            self._fail(error)
            self._abort(names)
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error
        return self._results
