"""What the host shows of bioxen from outside: processes, control groups, mounts, sockets, files.

Processes are found by descent, never by name alone: a test worker is a child subreaper, so whatever a
killed CLI leaves behind becomes the worker's own child and can be told from other people's processes.
"""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from waiting import wait_for

PR_SET_CHILD_SUBREAPER = 36
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_NAME = re.compile(r"bioxen-(\d+)(?:\.\d+)?")  # bioxen-<pid of the jailer>, and what a restart adds

HAS_CHILDREN_FILE = Path("/proc/thread-self/children").exists()

_started: set[int] = set()  # processes that a test holds a Popen of: never reaped here


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    name: str
    state: str

    @property
    def proc(self) -> Path:
        return Path("/proc", str(self.pid))

    def status(self) -> dict[str, str]:
        lines = (self.proc / "status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def namespace(self, kind: str) -> str:
        return os.readlink(self.proc / "ns" / kind)

    def descriptors(self) -> dict[int, str]:
        return {int(name): os.readlink(self.proc / "fd" / name) for name in os.listdir(self.proc / "fd")}

    def limits(self) -> dict[str, tuple[str, str]]:
        """Soft and hard value of each resource limit, as the kernel words them."""
        table = {}
        for line in (self.proc / "limits").read_text().splitlines()[1:]:
            fields = re.split(r"\s{2,}", line.strip())
            table[fields[0]] = (fields[1], fields[2])
        return table


def become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def started(pid: int) -> None:
    _started.add(pid)


def read_process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = text.rpartition(")")
    state, parent = tail.split()[:2]
    return Process(pid, int(parent), head.partition("(")[2], state)


def processes() -> list[Process]:
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


def children_by_file(pid: int) -> list[Process]:
    """From a file that not every kernel has. Where it is, a guest need not look at each of its processes."""
    pids: list[str] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                pids += file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return [process for process in map(read_process, map(int, pids)) if process]


def family() -> Callable[[int], list[Process]]:
    """What finds the children of a pid."""
    if HAS_CHILDREN_FILE:
        return children_by_file
    by_parent: dict[int, list[Process]] = {}
    for process in processes():
        by_parent.setdefault(process.parent, []).append(process)
    return lambda pid: by_parent.get(pid, [])


def descendants(pid: int) -> list[Process]:
    children = family()
    found, todo = [], [pid]
    while todo:
        for child in children(todo.pop()):
            found.append(child)
            todo.append(child.pid)
    return found


def alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and process.state not in "ZX"


def orphans() -> list[Process]:
    """bioxen's processes, zombies too, that lost their parent and became ours."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []  # no child at all: nearly always, and cheaper than a look at every process
    return [p for p in family()(os.getpid()) if p.pid not in _started and p.name.startswith("bioxen")]


def adopted() -> list[Process]:
    """Orphans that are alive, with what is below them; the dead ones are reaped."""
    mine = orphans()
    for process in mine:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            pass
    living = [p for p in mine if alive(p.pid)]
    return living + [d for orphan in living for d in descendants(orphan.pid) if d.state not in "ZX"]


def cgroup_directories() -> list[Path]:
    """Every directory of a bioxen instance in every hierarchy that is mounted."""
    return [Path(top) / name for top, names, _ in os.walk(CGROUP_ROOT)
            for name in names if CGROUP_NAME.fullmatch(name)]


def instance_is_alive(directory: Path) -> bool:
    match = CGROUP_NAME.fullmatch(directory.name)
    return match is not None and Path("/proc", match.group(1)).exists()


def cgroups_of(pid: int) -> dict[str, Path]:
    """Controller -> directory of a process; the v2 tree under the name "unified"."""
    mounts: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            mounts["unified"] = Path(left.split()[4])
        elif kind == "cgroup":
            for name in options.split(","):
                mounts[name] = Path(left.split()[4])
    found = {}
    for line in Path("/proc", str(pid), "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(",") if names else ["unified"]:
            if name in mounts:
                found[name] = mounts[name] / path.lstrip("/")
    return found


def place_for_groups(controller: str) -> Path | None:
    """Where whoever runs the tests may make a group with this controller: in v1 below its own group, in v2 beside it."""
    own = cgroups_of(os.getpid())
    if controller in own:
        return own[controller] if os.access(own[controller], os.W_OK) else None
    path = own.get("unified")
    while path is not None and path != CGROUP_ROOT.parent:
        if os.access(path, os.W_OK) and controller in (path / "cgroup.subtree_control").read_text().split():
            return path
        path = path.parent
    return None


@dataclass(frozen=True)
class HostState:
    mounts: frozenset[str]
    sockets: frozenset[str]
    shared_memory: frozenset[str]
    message_queues: frozenset[str]


def host_state() -> HostState:
    sockets = [line.split(maxsplit=7)[7] for line in Path("/proc/net/unix").read_text().splitlines()[1:]
               if len(line.split(maxsplit=7)) > 7]
    mounts = [" ".join(line.split()[2:5]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    names = os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []
    queues = [line for kind in ("shm", "sem", "msg")
              for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]]
    return HostState(frozenset(mounts), frozenset(s for s in sockets if "bioxen" in s or "bx" in s),
                     frozenset(names), frozenset(queues))


def leftovers(before: HostState, scratch: Path | None) -> list[str]:
    """Everything that should be gone after bioxen ended; empty when the host is as it was."""
    now = host_state()
    found = [f"process {p.pid} {p.name} ({p.state})" for p in adopted()]
    found += [f"cgroup {d}" for d in cgroup_directories() if not instance_is_alive(d)]
    found += [f"mount {m}" for m in now.mounts - before.mounts]
    found += [f"socket {s}" for s in now.sockets - before.sockets]
    found += [f"/dev/shm/{n}" for n in now.shared_memory - before.shared_memory]
    found += [f"System V object {q}" for q in now.message_queues - before.message_queues]
    if scratch is not None:
        found += [f"file {p}" for p in scratch.rglob("*")]
    return found


def assert_nothing_left(before: HostState, scratch: Path | None, seconds: float = 3) -> None:
    last: list[str] = []

    def clean() -> bool:
        last[:] = leftovers(before, scratch)
        return not last

    try:
        wait_for(clean, seconds, "a clean host")
    except AssertionError as error:
        raise AssertionError("left behind on the host:\n  " + "\n  ".join(last)) from error
