"""Waits for conditions with a deadline, so that no test sleeps and hopes."""

from __future__ import annotations

import os
import time
from typing import Callable, TypeVar

T = TypeVar("T")

# On a slow or loaded host every deadline of the tests is multiplied by this.
SLOW = float(os.environ.get("BIOXEN_TEST_SLOW", "1"))


def wait_for(probe: Callable[[], T], seconds: float, what: str) -> T:
    """Returns the first true value of `probe`; fails with `what` when there is none in time."""
    end = time.monotonic() + seconds * SLOW
    pause = 0.0005
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def scaled(milliseconds: int) -> str:
    """A --timeout within which a script must have begun."""
    return f"{milliseconds * SLOW:.0f}ms"
