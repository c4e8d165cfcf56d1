"""What the programs around the VM have from their C library, whichever it is: a program that is linked like them tries it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

PROBE = Path(os.environ.get("BIOXEN_BUILD", "build/test")) / "libc-probe"


def probe(what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROBE, what], capture_output=True, text=True, timeout=30)


@pytest.mark.skipif("BIOXEN_SANITIZE" in os.environ, reason="a sanitizer finds it first")
@pytest.mark.parametrize("what", ["stack", "memcpy", "snprintf", "sealed", "abort"])
def test_it_is_the_end(what: str) -> None:
    result = probe(what)
    assert result.returncode in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGILL, -signal.SIGTRAP), result
    assert result.stdout == ""


def test_errors_have_the_words_of_every_other_command() -> None:
    """Not all have: those that a user can meet."""
    texts = probe("errors").stdout.splitlines()
    for code in range(1, 41):
        assert texts[code - 1] == os.strerror(code) or code in (33, 34, 35), code
