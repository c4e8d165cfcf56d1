"""tests/guest/run says "passed" only when every kind of caller said so itself: an emulator that lies is shown to it."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

GUEST = Path(__file__).resolve().parents[1] / "guest"


@pytest.fixture
def guest() -> ModuleType:
    loader = SourceFileLoader("guest_run", str(GUEST / "run"))
    spec = importlib.util.spec_from_loader("guest_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    module.KINDS = ["root", "delegated"]
    return module


def said(kind: str, closing: str = "7 passed, 0 failed, 1 skipped", status: int = 0) -> str:
    return f"\nguest: {kind} begins, 6.1.0-1-amd64, uid 0, in x\nok   unit/x\n\n{closing}\nguest: {kind} ends with {status} after 3 s\n"


def judge(guest: ModuleType, text: str, capfd: pytest.CaptureFixture[str], why: str | None = None) -> tuple[int, list[str]]:
    status = guest.verdict(text, why, 12.3, "the console")
    return status, capfd.readouterr().out.splitlines()


def test_sum_of_all_kinds(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    status, lines = judge(guest, said("root") + said("delegated", "1 passed, 0 failed, 2 skipped"), capfd)
    assert (status, lines[-1]) == (0, "8 passed, 0 failed, 3 skipped")
    assert "guest: Linux 6.1.0-1-amd64, 12 s" in lines and "the console" not in lines


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
    assert "the console" in lines


def test_a_bad_end_of_the_emulator_is_red(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    status, lines = judge(guest, said("root") + said("delegated"), capfd, "the emulator ended with 1")
    assert (status, lines[-1]) == (1, "14 passed, 1 failed, 2 skipped")


def test_the_end_of_the_emulator(guest: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    assert guest.boot(["sh", "-c", "echo one; echo two >&2"], 60) == ("one\ntwo\n", None)
    assert guest.boot(["sh", "-c", "echo one; exit 3"], 60) == ("one\n", "the emulator ended with 3")
    assert guest.boot(["sh", "-c", "echo one; kill -9 $$"], 60) == ("one\n", "the emulator ended with -9")
    assert guest.boot(["sh", "-c", "echo one; exec sleep 1000"], 1) == ("one\n", "the guest did not end within 1 s")


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
