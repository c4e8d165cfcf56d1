"""Every broken topology file gets its message at the right place, exit status 2, and starts nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from broken import Case, cases
from bxrun import Bioxen

ENVIRONMENT = {"BIOXEN_TEST_WORD": "lots", "BIOXEN_TEST_BYTES": os.fsdecode(b"\xff"), "BIOXEN_TEST_BLANK": "a b"}
CASES = cases()


def prepare(bx: Bioxen, case: Case) -> Path:
    bx.write("good.lua", "print(1)\n")
    bx.write("bad.lua", "local y = 1\nlocal function f() y x end\n")
    bx.write("binary.lua", b"\x1bLua\x54\0\x19\x93\r\n\x1a\n")
    (bx.work / "folder.lua").mkdir()
    return bx.write("file.yaml", case.text)


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_file(bx: Bioxen, case: Case) -> None:
    path = prepare(bx, case)
    result = bx.call("check", "--json", path, env=ENVIRONMENT)
    faults = [json.loads(line) for line in result.out.decode().splitlines()]
    shown = [(f["line"], f["column"], f["message"], f["suggestion"]) for f in faults]
    assert result.status == 2, (result, shown)
    there = [f for f in faults if (f["line"], f["column"]) == (case.line, case.column)]
    assert any(case.message in f["message"] for f in there), (case.line, case.column, shown)
    assert any(case.suggestion in (f["suggestion"] or "") for f in there), shown
    assert all(f["file"] == str(path) and f["severity"] == "error" for f in there)
    assert result.seconds < 5, "whatever is in a file, it is read quickly"


@pytest.mark.parametrize("case", CASES[::20], ids=lambda case: case.name)
def test_broken_file_in_words(bx: Bioxen, case: Case) -> None:
    path = prepare(bx, case)
    result = bx.call("check", path, env=ENVIRONMENT)
    assert result.status == 2 and result.out == b""
    lines = result.errors.splitlines()
    heads = [i for i, line in enumerate(lines)
             if line.startswith(f"{path}:{case.line}:{case.column}: error: ") and case.message in line]
    assert heads, result
    quoted, caret = lines[heads[0] + 1], lines[heads[0] + 2]
    assert quoted.startswith(f"{case.line:5} | ")
    assert caret.startswith("      | ") and "^" in caret
    assert "\x1b" not in result.errors, "no colour where there is no terminal"
    assert lines[-1].startswith(f"bioxen: {path}: ")
