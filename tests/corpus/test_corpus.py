"""Runs every script of the corpus in a fresh VM and looks at the outcome and at the host afterwards."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Iterator

import pytest

import canary
from bxrun import Bioxen, Result, has_native_probe
from corpus import Script, escaped, last_line, matches, read_script
from waiting import SLOW

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.lua"))
LIMIT = 2.0  # seconds
MEMORY = 64 << 20
OUTPUT = 8 << 20


@pytest.fixture(scope="module")
def canaries() -> Iterator[canary.Canaries]:
    made = canary.Canaries()
    yield made
    made.close()


def parameters() -> list[object]:
    """Scripts that look for canaries share one worker: the canaries are one set for the host."""
    rows = []
    for path in SCRIPTS:
        needs = read_script(path).needs
        marks = [pytest.mark.xdist_group("canaries")] if any(word.startswith("canary") for word in needs) else []
        rows.append(pytest.param(path, id=path.stem, marks=marks))
    return rows


def prepare(bx: Bioxen, script: Script) -> Path:
    """The script in the test's own directory, with the texts that name this host."""
    text = script.path.read_bytes()
    text = text.replace(b"@HOSTNAME@", socket.gethostname().encode())
    return bx.write(script.path.name, text)


def run(bx: Bioxen, script: Script) -> Result:
    return bx.run("--profile", script.one("profile"), "--timeout", "2s", "--memory", "64MiB", "--pids", "16", "--output-limit", "8MiB",
                  "--network", "fabric" if "luasocket" in script.needs else "none", prepare(bx, script), env=canary.ENVIRONMENT if "canary-env" in script.needs else None, deadline=30)


def is_late(result: Result) -> bool:
    return result.seconds > LIMIT + 0.5 * SLOW


def run_on_time(bx: Bioxen, script: Script) -> Result:
    """A loaded host is late by itself now and then; three times in a row is the jail's fault."""
    for _ in range(3):
        result = run(bx, script)
        if not is_late(result):
            break
    assert not is_late(result), result
    return result


def check(script: Script, result: Result) -> None:
    assert not escaped(result), result
    if last_line(result).startswith("SKIPPED"):
        pytest.skip(last_line(result))
    fitting = [outcome for outcome in script.wanted if matches(outcome, result)]
    assert fitting, f"none of {script.wanted}: {result}"
    assert result.status == result.record["exit_code"]
    assert len(result.out) + min(len(result.err), OUTPUT) <= OUTPUT + (128 << 10)
    assert result.record["memory_peak"] <= MEMORY + (8 << 20), result.record


@pytest.mark.parametrize("path", parameters())
def test_script(bx: Bioxen, path: Path, request: pytest.FixtureRequest) -> None:
    script = read_script(path)
    if "native_probe" in script.needs and (not has_native_probe() or platform.machine() != "x86_64"):
        pytest.skip("native_probe is in the test build for x86-64 only")
    if "host-root" in script.needs and os.getuid() != 0:
        pytest.skip("needs root")
    watch = request.getfixturevalue("canaries") if any(word.startswith("canary") for word in script.needs) else None
    for _ in range(2 if "twice" in script.needs else 1):
        result = run_on_time(bx, script)
        check(script, result)
        if watch is not None:
            assert not watch.touched()
    following = bx.eval("print('next')", report=False)
    assert (following.status, following.out) == (0, b"next\n"), following


def test_headers() -> None:
    assert len(SCRIPTS) > 150
    for path in SCRIPTS:
        read_script(path)


@pytest.mark.parametrize("name", ["cpu-loop-pcall-error", "cpu-pattern-find", "mem-table-array", "mem-pcall-survives", "esc-coroutine-close-chain", "out-flood-stderr",
                                  "mem-tmpfs-as-memory", "fs-inodes", "pids-double-fork-nohup", "control-guess-fds-read", "sys-loadlib-system", "esc-error-huge"])
def test_as_an_ordinary_user(bx_user: Bioxen, name: str) -> None:
    """The same walls without root, by a sample over the classes."""
    script = read_script(Path(__file__).parent / "scripts" / f"{name}.lua")
    check(script, run_on_time(bx_user, script))
