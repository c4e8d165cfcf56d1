"""Where the programs bioxend, bioxen-jailer and bioxen-vm are."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Iterator

NAMES = ("bioxend", "bioxen-jailer", "bioxen-vm")


def _places() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package / "programs"
    yield package.parent.parent / "build"
    for prefix in (sys.prefix, "/usr/local", "/usr"):
        yield Path(prefix) / "libexec" / "bioxen"


def directory(named: str | os.PathLike[str] | None = None) -> Path:
    """The directory that is named here or by BIOXEN_PROGRAMS; else the package's own programs, then the build of the
    source tree that the package is in, then an installation."""
    named = named if named is not None else os.environ.get("BIOXEN_PROGRAMS")
    if named:
        return Path(named).absolute()
    places = list(_places())
    for place in places:
        if all(os.access(place / name, os.X_OK) for name in NAMES):
            return place
    from .errors import HostError
    raise HostError(f"{', '.join(NAMES)} are in none of {', '.join(map(str, places))}: run make, install the package "
                    "again, or name their directory by BIOXEN_PROGRAMS")
