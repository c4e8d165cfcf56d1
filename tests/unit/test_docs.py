"""What the documents name exists: every test of docs/security.md, every linked file, every option and make target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions_of(module: str) -> set[str]:
    found: set[str] = set()
    for path in ROOT.glob(f"tests/*/test_{module}.*"):
        pattern = r"^def (test_\w+)\(" if path.suffix == ".py" else r"^static void (test_\w+)\("
        found |= set(re.findall(pattern, path.read_text(), re.M))
    return found


def test_every_test_of_the_security_tables_exists() -> None:
    text = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`(\w+)::(test_\w+)`", text)
    assert len(named) > 50
    missing = [f"{module}::{test}" for module, test in named if test not in functions_of(module)]
    assert not missing


def test_every_promise_has_a_test() -> None:
    text = (ROOT / "docs/security.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 30
    assert not [row for row in rows if "::test_" not in row]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_named_files_exist(path: Path) -> None:
    for target in re.findall(r"`((?:sandbox|src|scripts|tests|config|docs|lua)/[\w./-]+)`", path.read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M)) | {"install"}
    for target in re.findall(r"`make ([a-z]+)`", path.read_text()):
        assert target in targets, target


def test_options_of_run_are_documented_and_exist() -> None:
    table = set(re.findall(r'\.name = "([\w-]+)"', (ROOT / "src/cli/run_options.c").read_text() +
                           (ROOT / "src/cli/run_table.h").read_text()))
    text = (ROOT / "docs/run.md").read_text()
    named = set(re.findall(r"--([a-z][\w-]+)", text))
    assert table <= named
    assert named <= table | {"help"}


def test_records_of_decisions_are_listed() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(p.name for p in folder.glob("[0-9]*.md"))
