"""Fixtures for the tests that start the real programs.

BIOXEN_BUILD names the directory with the programs (default: build/test when it is there, else build).
BIOXEN_TEST_SLOW multiplies every deadline. BIOXEN_TEST_SHARE=K/N leaves one of N shares of the tests. The tests run as
root and as an ordinary user; what a host lacks is skipped with its name.
"""

from __future__ import annotations

import os
import signal
import sys
import zlib
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import hostview  # noqa: E402
from bxrun import (USER_ID, Bioxen, build_directory, has_native_probe, private_directory, remove_tree,  # noqa: E402
                   user_skip_reason)


def pytest_configure(config: pytest.Config) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:  # nohup, or a shell's "&": children would inherit it
            signal.signal(number, signal.SIG_DFL)
    config.addinivalue_line("markers", "root: needs to be run as root")
    config.addinivalue_line("markers", "probe: needs the build with the native probe (build/test)")
    config.addinivalue_line("markers", "interpreter: takes long, and asks the interpreter, hardly the kernel")
    config.addinivalue_line("markers", "xdist_group(name): tests of one group share one worker")
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadgroup"  # the canaries of the corpus are one per host
    hostview.become_subreaper()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share, shares = map(int, os.environ.get("BIOXEN_TEST_SHARE", "1/1").split("/"))
    others = [item for item in items if zlib.crc32(item.nodeid.encode()) % shares != share - 1]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
    missing = None if (build_directory() / "bioxen").exists() else f"no bioxen in {build_directory()}: run make"
    for item in items:
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))
        if item.get_closest_marker("root") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("probe") and not has_native_probe():
            item.add_marker(pytest.mark.skip(reason="needs the test build (native_probe)"))


@pytest.fixture
def work() -> Iterator[Path]:
    """The test's directory; afterwards nothing that bioxen made may be left on the host."""
    before = hostview.host_state()
    path = private_directory()
    yield path
    try:
        hostview.assert_nothing_left(before, path / "tmp")
    finally:
        remove_tree(path)


@pytest.fixture
def bx(work: Path) -> Bioxen:
    """bioxen as whoever runs the tests."""
    return Bioxen(work)


@pytest.fixture
def bx_user(work: Path) -> Bioxen:
    """bioxen as an ordinary user."""
    reason = user_skip_reason()
    if reason == "already an ordinary user":
        return Bioxen(work)
    if reason:
        pytest.skip(reason)
    for path in (work, work / "tmp"):
        os.chown(path, USER_ID, USER_ID)
    return Bioxen(work, user=True)


@pytest.fixture(params=["caller", "user"] if os.getuid() == 0 else ["caller"])
def bx_any(request: pytest.FixtureRequest) -> Bioxen:
    """As root, each such test runs twice: as root, and as an ordinary user. An ordinary user is that already."""
    return request.getfixturevalue("bx" if request.param == "caller" else "bx_user")


@pytest.fixture(params=["restricted", "full"])
def profile(request: pytest.FixtureRequest) -> str:
    return request.param
