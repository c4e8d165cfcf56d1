"""tests/guest/run says "passed" only when every kind of caller said so itself: an emulator that lies is shown to it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GUEST = Path(__file__).resolve().parents[1] / "guest"


@pytest.fixture
def guest() -> ModuleType:
    loader = SourceFileLoader("guest_run", str(GUEST / "run"))
    spec = importlib.util.spec_from_loader("guest_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def said(kind: str, closing: str = "7 passed, 0 failed, 1 skipped", status: int = 0) -> str:
    return f"\nguest: {kind} begins, 6.1.0-1-amd64, uid 0, in x\nok   unit/x\n\n{closing}\nguest: {kind} ends with {status} after 3 s\n"


def judge(guest: ModuleType, text: str, capfd: pytest.CaptureFixture[str], why: str | None = None) -> tuple[int, list[str]]:
    status = guest.verdict([ended(guest, 1, ["root", "delegated"], text, why)], 12.3)
    return status, capfd.readouterr().out.splitlines()


def ended(guest: ModuleType, number: int, kinds: list[str], text: str, why: str | None = None) -> Any:
    one = guest.Guest(number, kinds)
    one.text, one.why = text, why
    one.console = lambda: f"the console of {number}"
    return one


def test_sum_of_all_kinds(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    status, lines = judge(guest, said("root") + said("delegated", "1 passed, 0 failed, 2 skipped"), capfd)
    assert (status, lines[-1]) == (0, "8 passed, 0 failed, 3 skipped")
    assert "guest: Linux 6.1.0-1-amd64, 12 s" in lines and not any("the console" in line for line in lines)


@pytest.mark.parametrize("text, closing", [
    ("", "0 passed, 2 failed, 0 skipped"),
    ("[    1.0] Kernel panic - not syncing\n", "0 passed, 2 failed, 0 skipped"),
    (said("root"), "7 passed, 1 failed, 1 skipped"),
    (said("root") + said("delegated")[:-30], "7 passed, 1 failed, 1 skipped"),
    (said("root") + said("delegated", "6 passed, 1 failed, 1 skipped", 1), "13 passed, 1 failed, 2 skipped"),
    (said("root") + said("delegated", "7 passed, 0 failed, 1 skipped", 1), "7 passed, 1 failed, 1 skipped"),
    (said("root") + said("delegated", "6 passed, 1 failed, 1 skipped", 0), "7 passed, 1 failed, 1 skipped"),
    (said("root") + said("delegated", "Killed", 137), "7 passed, 1 failed, 1 skipped"),
    (said("root") + said("delegated").replace("\nguest: delegated ends", "\nmore\nguest: delegated ends"), "7 passed, 1 failed, 1 skipped"),
    (said("root", "0 passed, 0 failed, 0 skipped", 1) + said("delegated", "0 passed, 0 failed, 0 skipped", 1), "0 passed, 2 failed, 0 skipped"),
])
def test_anything_else_is_red_and_shows_the_console(guest: ModuleType, capfd: pytest.CaptureFixture[str], text: str, closing: str) -> None:
    status, lines = judge(guest, text, capfd)
    assert (status, lines[-1]) == (1, closing)
    assert "the console of 1" in lines


def test_a_bad_end_of_the_emulator_is_red(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    status, lines = judge(guest, said("root") + said("delegated"), capfd, "the emulator ended with 1")
    assert (status, lines[-1]) == (1, "14 passed, 1 failed, 2 skipped")


def test_sum_of_several_guests(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    whole = [ended(guest, 1, ["root"], said("root")), ended(guest, 2, ["root"], said("root", "1 passed, 0 failed, 0 skipped")),
             ended(guest, 3, ["delegated"], said("delegated"))]
    assert guest.verdict(whole, 1) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-3:] == ["guest: root: 8 passed, 0 failed, 1 skipped", "guest: delegated: 7 passed, 0 failed, 1 skipped",
                          "15 passed, 0 failed, 2 skipped"]
    whole[1].text = "[    1.0] Kernel panic - not syncing\n"
    assert guest.verdict(whole, 1) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == "14 passed, 1 failed, 2 skipped"
    assert "the console of 2" in lines and "the console of 1" not in lines


@pytest.mark.parametrize("kinds, lots", [
    ("root delegated undelegated", [(["root"], "1/2"), (["root"], "2/2"), (["delegated", "undelegated"], "1/1")]),
    ("root", [(["root"], "1/2"), (["root"], "2/2")]),
    ("undelegated", [(["undelegated"], "1/1")]),
    ("", [([], "1/1")]),
])
def test_who_runs_what(guest: ModuleType, kinds: str, lots: list[tuple[list[str], str]]) -> None:
    guest.KINDS, guest.SHARES = kinds.split(), 2
    assert [(one.kinds, one.share) for one in guest.share_out()] == lots


@pytest.mark.parametrize("code, deadline, text, why", [
    ("echo one; echo two >&2", 60, "one\ntwo\n", None),
    ("echo one; exit 3", 60, "one\n", "the emulator ended with 3"),
    ("echo one; kill -9 $$", 60, "one\n", "the emulator ended with -9"),
    ("echo one; exec sleep 1000", 1, "one\n", "the guest did not end within 1 s"),
])
def test_the_end_of_the_emulator(guest: ModuleType, capfd: pytest.CaptureFixture[str], code: str, deadline: float, text: str, why: str | None) -> None:
    one = guest.Guest(1, ["root"])
    one.boot(["sh", "-c", code], deadline)
    assert (one.text, one.why) == (text, why)
    assert capfd.readouterr().out == "".join(f"1| {line}\n" for line in text.splitlines())


def test_shares_are_all_of_the_tests() -> None:
    """Nothing is lost between two guests, and nothing is run by both."""
    def collected(share: str) -> set[str]:
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--collect-only", "tests/topology/test_graph.py"], cwd=GUEST.parents[1],
                              env={**os.environ, "BIOXEN_TEST_SHARE": share}, capture_output=True, text=True)
        return {line for line in done.stdout.splitlines() if "::" in line}

    one, two = collected("1/2"), collected("2/2")
    assert one and two and not one & two and one | two == collected("1/1")


def test_modules_come_after_what_they_need(guest: ModuleType, tmp_path: Path) -> None:
    guest.MODULES = ("virtio_blk", "ext4", "9p")
    (tmp_path / "modules.dep").write_text("k/ext4.ko: k/jbd2.ko k/crc16.ko\nk/jbd2.ko: k/crc16.ko\nk/crc16.ko:\nk/virtio_blk.ko: k/virtio.ko\nk/virtio.ko:\n")
    (tmp_path / "modules.builtin").write_text("kernel/fs/9p/9p.ko\n")
    order = guest.module_order(tmp_path)
    assert sorted(order) == ["k/crc16.ko", "k/ext4.ko", "k/jbd2.ko", "k/virtio.ko", "k/virtio_blk.ko"]
    for later, earlier in (("ext4", "jbd2"), ("jbd2", "crc16"), ("virtio_blk", "virtio")):
        assert order.index(f"k/{earlier}.ko") < order.index(f"k/{later}.ko")
    guest.MODULES = ("overlay",)
    with pytest.raises(SystemExit, match="no module overlay"):
        guest.module_order(tmp_path)
