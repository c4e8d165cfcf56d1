"""Topology files: reading one, and having it checked. What a file means is the orchestrator's to say."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from typing import Any, List, Tuple

from . import _core, errors, spec
from .errors import Fault, TopologyError

#: Bytes of a topology file; of a larger one so much is read that the check says so.
_FILE_MAX = (1 << 20) + 1


@dataclasses.dataclass(frozen=True)
class File:
    """A file that was read, as the extension takes it."""

    path: str
    #: text, name of a topology that does not say its own, directory, environment
    source: Tuple[bytes, str, bytes, List[bytes]]


def _text(path: str) -> bytes:
    """Without being held up by what it turns out to be."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"'{path}' is not a regular file")
        return file.read(_FILE_MAX)


def read(path: spec.Path) -> File:
    name = os.fspath(path)
    environment: List[bytes] = []
    for key, value in os.environb.items():
        environment += (key, value)
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", os.path.splitext(os.path.basename(name))[0])[:63]
    return File(name, (_text(name), stem or "topology", os.fsencode(os.path.dirname(name) or "."), environment))


def up(core: _core.Core, checked: Any, file: File, wait: bool, dry_run: bool) -> dict[str, Any]:
    flags = (_core.UP_WAIT if wait else 0) | (_core.UP_DRY_RUN if dry_run else 0)
    return dict(core.up(checked, file.source, flags)[0])


def check(where: bytes, joins: bool, file: File) -> tuple[Any, list[Fault]]:
    """What it says, for up, and what is only to be warned of. TopologyError with all that is wrong."""
    checked, found, count, omitted = _core.check(where, joins, file.source)
    faults = [Fault(file.path, *one) for one in found]
    if count:
        wrong = [fault for fault in faults if fault.is_error]
        raise TopologyError(errors.faults_text(wrong, omitted), errors=wrong)
    return checked, faults
