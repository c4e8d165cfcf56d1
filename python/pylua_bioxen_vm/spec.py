"""What a VM is to be: checks what create_vm was given, opens what it names, and keeps it for restarts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from typing import Any, Iterable, Iterator, Mapping, Sequence, Tuple, Union

from . import _core, units

Path = Union[str, "os.PathLike[str]"]
Mount = Union[str, Tuple[Path, str], Tuple[Path, str, str]]

MEMORY, CPUS, PIDS, OUTPUT_LIMIT, LOG_LIMIT = 64 << 20, 1000, 16, 10 << 20, 1 << 20
SCRIPT_MAX = 64 << 20
_PROFILES = {"restricted": _core.RESTRICTED, "full": _core.FULL}
_NETWORKS = {True: _core.NETWORK_SHARED, None: _core.NETWORK_LATE, False: _core.NETWORK_NONE}


@dataclasses.dataclass(frozen=True)
class Spec:
    """Everything checked, nothing opened."""

    name: str
    profile: str
    memory: int
    cpus_milli: int
    cpu_time_ms: int
    pids: int
    output_limit: int
    required: int
    mounts: tuple[tuple[str, str, bool], ...]
    args: tuple[bytes, ...]
    env: tuple[bytes, ...]
    script: str | None
    timeout: float | None
    log_limit: int
    networked: bool | None


def _bytes(value: str | bytes, what: str) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{what}: {value!r} is neither str nor bytes")
    return os.fsencode(value)


def _mount(value: Mount) -> tuple[str, str, bool]:
    parts: Sequence[Any] = value if isinstance(value, (tuple, list)) else ()
    if isinstance(value, str):
        at = value.rfind(":/")
        parts = (value[:at], *value[at + 1:].split(":")) if at > 0 else ()
    mode = parts[2] if len(parts) == 3 else "ro"
    if len(parts) not in (2, 3) or mode not in ("ro", "rw"):
        raise ValueError(f"mounts: {value!r} is no mount; a mount is 'HOST:VM', 'HOST:VM:ro' or 'HOST:VM:rw', or a tuple "
                         "of these parts, where VM is an absolute path")
    return os.fspath(parts[0]), str(parts[1]), mode == "rw"


def _environment(env: Mapping[str, str]) -> Iterator[bytes]:
    for name, value in env.items():
        yield _bytes(name, "env")
        yield _bytes(value, f"env[{name!r}]")


def make(name: str, profile: str = "restricted", memory: units.Size | None = None,
         cpus: int | float | str | None = None, timeout: units.Time | None = None, cpu_time: units.Time | None = None,
         pids: int | None = None, output_limit: units.Size | None = None, env: Mapping[str, str] | None = None,
         args: Iterable[str | bytes] = (), mounts: Iterable[Mount] = (), script: Path | None = None,
         log_limit: units.Size = LOG_LIMIT, networked: bool | None = None) -> Spec:
    """A limit that is given by name is required: a host that cannot enforce it refuses the VM."""
    if not isinstance(name, str):
        raise TypeError(f"a VM's name is a str, not {name!r}")
    if profile not in _PROFILES:
        raise ValueError(f"profile: {profile!r} is neither 'restricted' nor 'full'")
    required = sum(flag for flag, value in ((_core.REQUIRE_MEMORY, memory), (_core.REQUIRE_CPUS, cpus),
                                            (_core.REQUIRE_PIDS, pids), (_core.REQUIRE_CPU_TIME, cpu_time))
                   if value is not None)
    if networked is not None and not isinstance(networked, bool):
        raise TypeError(f"networked: {networked!r} is neither a bool nor None")
    found = tuple(_mount(mount) for mount in mounts)
    if found and profile != "full":
        raise ValueError("mounts: only a VM of profile 'full' can have mounts")
    wall = None if timeout is None else units.seconds(timeout, "timeout")
    return Spec(
        name=name, profile=profile, required=required, mounts=found, timeout=wall,
        memory=MEMORY if memory is None else units.size(memory, "memory"),
        cpus_milli=CPUS if cpus is None else units.processors(cpus, "cpus"),
        cpu_time_ms=0 if cpu_time is None else max(1, int(units.seconds(cpu_time, "cpu_time") * 1000)),
        pids=PIDS if pids is None else units.count(pids, "pids"),
        output_limit=OUTPUT_LIMIT if output_limit is None else units.size(output_limit, "output_limit"),
        args=tuple(_bytes(arg, "args") for arg in args), env=tuple(_environment(env or {})),
        script=None if script is None else os.fspath(script), log_limit=units.size(log_limit, "log_limit"),
        networked=networked)


def _open_mount(stack: contextlib.ExitStack, host: str, writable: bool) -> int:
    """Opened as the caller: what the caller may not read, the VM may not."""
    fd = os.open(host, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise ValueError(f"mounts: '{host}' is neither a directory nor a regular file")
    wanted = os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0) | (os.W_OK if writable else 0)
    if not os.access(f"/proc/self/fd/{fd}", wanted, effective_ids=True):
        raise PermissionError(f"mounts: '{host}' may not be {'written' if writable else 'read'} by you")
    return fd


def _read_script(path: str) -> bytes:
    """Without being held up by what it turns out to be."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"script: '{path}' is not a regular file")
        text = file.read(SCRIPT_MAX + 1)
    if len(text) > SCRIPT_MAX:
        raise ValueError(f"script: '{path}' is larger than 64 MiB")
    return text


def start(core: _core.Core, spec: Spec) -> _core.Life:
    """Opens what the spec names, and makes the VM."""
    stack = contextlib.ExitStack()
    with contextlib.closing(stack):
        mounts = [(_open_mount(stack, host, writable), target.encode(), writable)
                  for host, target, writable in spec.mounts]
        text, chunk, module_dir = b"", b"=(no script)", -1
        title = os.fsencode(spec.script) if spec.script is not None else spec.name.encode()
        if spec.script is not None:
            text, chunk = _read_script(spec.script), b"@" + title
            folder = os.path.dirname(spec.script) or "."
            if spec.profile == "restricted":
                module_dir = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, module_dir)
            elif not any(target.rstrip("/") == "/app" for _, target, _ in spec.mounts):
                mounts.append((_open_mount(stack, folder, False), b"/app", False))
        return core.create(spec.name, _PROFILES[spec.profile], spec.memory, spec.cpus_milli, spec.cpu_time_ms, spec.pids,
                           spec.output_limit, spec.required, mounts, chunk, [title, *spec.args], list(spec.env), text,
                           module_dir, spec.log_limit, _NETWORKS[spec.networked])
