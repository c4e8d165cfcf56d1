"""Control groups that root hands over to an ordinary user, as systemd does with Delegate=yes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from hostview import CGROUP_ROOT, cgroups_of, place_for_groups

CONTROLLERS = ("memory", "cpu", "pids")
# What is handed over beside the directory: the last one is v1's, the others are v2's.
FILES = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")


def nothing_to_delegate() -> bool:
    """Has root no groups to hand over here? (Nobody else is asked: that a test needs root is another reason to skip it.)"""
    return os.getuid() == 0 and not all(place_for_groups(name) for name in CONTROLLERS)


def make(path: Path, user: int) -> None:
    path.mkdir()
    for entry in (path, *(path / name for name in FILES if (path / name).exists())):
        os.chown(entry, user, user)


@contextmanager
def delegated_groups(user: int) -> Iterator[list[Path]]:
    """The groups that a process has to enter: one in each hierarchy. Afterwards they must be empty."""
    own = cgroups_of(os.getpid())
    name = f"bxtest-{os.getpid()}"
    made: list[Path] = []
    try:
        if "memory" in own:
            for controller in CONTROLLERS:
                made.append(own[controller] / name)
                make(made[-1], user)
            yield made
        else:
            made.append(CGROUP_ROOT / name)
            make(made[-1], user)
            (made[0] / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in CONTROLLERS))
            made.append(made[0] / "shell")  # where the processes are: a group that has some gives its children nothing
            make(made[-1], user)
            yield made[-1:]
    finally:
        for path in reversed(made):
            assert not list(path.glob("bioxen-*")), f"left behind in {path}"
            path.rmdir()


@contextmanager
def directly_delegated_group(user: int) -> Iterator[list[Path]]:
    """Version 2: the one group, handed over as it is, that a process is to enter. Afterwards it must be empty."""
    path = CGROUP_ROOT / f"bxtest-{os.getpid()}"
    try:
        make(path, user)
        yield [path]
    finally:
        assert not list(path.glob("**/bioxen-*")), f"left behind in {path}"
        for below in (*(path / name for name in os.listdir(path) if (path / name).is_dir()), path):
            below.rmdir()


def entering(groups: list[Path]) -> Callable[[], None]:
    """For preexec_fn, before the process becomes the user's."""

    def enter() -> None:
        for path in groups:
            (path / "cgroup.procs").write_text(str(os.getpid()))

    return enter
