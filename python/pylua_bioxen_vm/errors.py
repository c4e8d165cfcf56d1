"""The errors of the package. Each knows its VM's name and what the call had printed; each can be pickled."""

from __future__ import annotations

import dataclasses
import errno
from typing import Any, Sequence

from . import _core
from .records import DeathRecord, death_record


def _rebuild(cls: type[BioxenError], arguments: tuple[Any, ...], state: dict[str, Any]) -> BioxenError:
    error = cls(*arguments)
    error.__dict__.update(state)
    return error


class BioxenError(Exception):
    """What all errors of this package are."""

    vm: str  #: the VM's name, or ""
    output: str  #: what the call printed, on both streams, until it failed

    def __init__(self, message: str = "", *, vm: str = "", output: str = "") -> None:
        super().__init__(message)
        self.vm = vm
        self.output = output

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class LuaError(BioxenError):
    """An error of the Lua code."""

    message: str
    traceback: str  #: Lua's, or ""
    value: Any  #: the error object: what error() was called with

    def __init__(self, message: str = "", *, traceback: str = "", value: Any = None, vm: str = "",
                 output: str = "") -> None:
        super().__init__(message, vm=vm, output=output)
        self.message = message
        self.traceback = traceback
        self.value = value


class LuaSyntaxError(LuaError):
    """The code does not compile."""


class ConversionError(BioxenError):
    """A value cannot cross between Python and Lua; the message names it."""


class VMNotFound(BioxenError, LookupError):
    """There is no VM of that name."""


class VMExists(BioxenError):
    """There is a VM of that name already."""


class PeerError(BioxenError, ConnectionError):
    """Another VM cannot be talked to: nobody serves there, it is not connected, it has ended. The message says it."""


class HostError(BioxenError):
    """The host cannot do what is asked; the message says why, and what to do."""

    errno: int

    def __init__(self, message: str = "", *, errno: int = 0, vm: str = "", output: str = "") -> None:
        super().__init__(message, vm=vm, output=output)
        self.errno = errno


class _Ended(BioxenError):
    """An error that may have been the VM's end."""

    record: DeathRecord | None  #: how the VM died; None: it lives on

    def __init__(self, message: str = "", *, record: DeathRecord | None = None, vm: str = "", output: str = "") -> None:
        super().__init__(message, vm=vm, output=output)
        self.record = record


class VMTimeoutError(_Ended, TimeoutError):
    """The time was up: the call was ended. When `record` is not None it had to be ended by killing its VM."""


class VMMemoryError(_Ended, MemoryError):
    """Not enough memory in the VM. When `record` is not None the kernel's limit ended it."""


class VMDied(_Ended):
    """The VM is no more; `record` says how it ended."""


class SandboxViolation(VMDied):
    """The VM was ended because of a system call that it may not make."""

    syscall: str | None

    def __init__(self, message: str = "", *, record: DeathRecord | None = None, vm: str = "", output: str = "") -> None:
        super().__init__(message, record=record, vm=vm, output=output)
        self.syscall = record.syscall if record else None


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that is wrong with a topology file, or to be warned of, and where."""

    file: str
    is_error: bool
    line: int  #: from 1
    column: int  #: in characters, from 1
    width: int  #: characters that it is about
    message: str
    suggestion: str | None  #: what to do
    script: str | None  #: a script that it is about, as the file names it
    script_line: int
    script_text: str | None  #: that line of the script

    def __str__(self) -> str:
        kind = "error" if self.is_error else "warning"
        where = f" ({self.script}:{self.script_line})" if self.script and self.script_line else ""
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}: {self.message}{where}{hint}"


class TopologyError(BioxenError):
    """A topology file is wrong; nothing of it was started. `errors` has all that is wrong, in the order of the file."""

    errors: tuple[Fault, ...]

    def __init__(self, message: str = "", *, errors: Sequence[Fault] = (), vm: str = "", output: str = "") -> None:
        super().__init__(message, vm=vm, output=output)
        self.errors = tuple(errors)

    @property
    def file(self) -> str:
        return self.errors[0].file if self.errors else ""

    @property
    def line(self) -> int:
        """Of the first; the same goes for column."""
        return self.errors[0].line if self.errors else 0

    @property
    def column(self) -> int:
        return self.errors[0].column if self.errors else 0


def faults_text(faults: Sequence[Fault], omitted: int) -> str:
    more = [f"and {omitted} more"] if omitted else []
    return "\n".join([*map(str, faults), *more])


def text(runs: Sequence[tuple[int, bytes]]) -> str:
    """Output as text: what is no UTF-8 is shown by backslashes."""
    return b"".join(part for _, part in runs).decode("utf-8", "backslashreplace")


_BY_OUTCOME: dict[str, type[_Ended]] = {
    "timeout": VMTimeoutError,
    "cpu": VMTimeoutError,
    "memory": VMMemoryError,
    "policy": SandboxViolation,
}


def died(name: str, record: DeathRecord | None, output: str = "", why: str = "") -> BioxenError:
    """The error for whoever wanted something of a VM that has died."""
    if record is None:
        return HostError(f"VM '{name}' is gone: the orchestrator ended unexpectedly; make a new VMManager", vm=name,
                         output=output)
    kind = _BY_OUTCOME.get(record.outcome, VMDied)
    message = f"VM '{name}' died: {record}" + (f" ({why})" if why else "")
    return kind(message, record=record, vm=name, output=output)


def forgotten() -> BioxenError:
    return BioxenError("this manager belongs to the process that this one was forked from; make one of your own here")


def _refused(name: str, code: int, message: str) -> Exception:
    if code == errno.EINVAL:
        return ValueError(message)
    if code == errno.ENOMEM:
        return MemoryError(message)
    return HostError(message, errno=code, vm=name)


def make(name: str, kind: int, message: str, traceback: str, value: Any, runs: Sequence[tuple[int, bytes]],
         raw: dict[str, Any] | None) -> Exception:
    """What the extension calls for an exception."""
    output = text(runs)
    if kind in (_core.FAILED_ERROR, _core.FAILED_INTERRUPTED, _core.FAILED_SYNTAX):
        cls = LuaSyntaxError if kind == _core.FAILED_SYNTAX else LuaError
        return cls(message, traceback=traceback, value=value, vm=name, output=output)
    if kind == _core.FAILED_MEMORY:
        return VMMemoryError(message, vm=name, output=output)
    if kind == _core.FAILED_TIMEOUT:
        return VMTimeoutError(f"VM '{name}': the call took longer than its timeout, and was ended", vm=name,
                              output=output)
    if kind == _core.EXPIRED:
        return VMTimeoutError(f"VM '{name}': the call's time was up before its turn came", vm=name, output=output)
    if kind in (_core.FAILED_CONVERSION, _core.FAILED_TOO_LARGE):
        return ConversionError(message, vm=name, output=output)
    if kind == _core.DIED:
        return died(name, None if raw is None else death_record(raw), output, message)
    if kind == _core.LEFT:
        return VMDied(f"VM '{name}' has ended, or was restarted" + (f" ({message})" if message else ""), vm=name,
                      output=output)
    if kind == _core.REFUSED:
        return _refused(name, value, message)
    if kind == _core.FORGOTTEN:
        return forgotten()
    return MemoryError(f"VM '{name}': its answer does not fit in this process's memory")


_core.set_hooks(ConversionError, make)
