"""Topology files from Python."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from bxrun import REPOSITORY
from pylua_bioxen_vm import BioxenError, TopologyError, VMManager

BROKEN = """\
version: 2
nmae: x
vms:
  a: {script: none.lua, memory: 1}
  b: {code: 'x =', client: c}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "lab.yaml"
    path.write_text(text)
    return path


def refused(manager: VMManager, path: Path) -> TopologyError:
    with pytest.raises(TopologyError) as caught:
        manager.check(path)
    return caught.value


def test_examples_are_fine(manager: VMManager) -> None:
    examples = sorted((REPOSITORY / "config").glob("*.yaml"))
    assert examples
    for path in examples:
        assert manager.check(path) == []
    assert manager.vms == {}


def test_everything_that_is_wrong(manager: VMManager, tmp_path: Path) -> None:
    """File, line, column and message of each, in order; the error has those of the first."""
    path = write(tmp_path, BROKEN)
    error = refused(manager, path)
    assert [(fault.line, fault.column) for fault in error.errors] == [(1, 10), (2, 1), (4, 15), (4, 33), (5, 13), (5, 28)]
    assert {fault.file for fault in error.errors} == {str(path)} and all(fault.is_error for fault in error.errors)
    assert error.errors[1].message == "unknown key 'nmae' at the top level"
    assert error.errors[1].suggestion == "did you mean 'name'?"
    assert (error.file, error.line, error.column) == (str(path), 1, 10)
    assert str(error).splitlines()[1] == f"{path}:2:1: error: unknown key 'nmae' at the top level (did you mean 'name'?)"
    assert isinstance(error, BioxenError)


def test_pickles(manager: VMManager, tmp_path: Path) -> None:
    error = refused(manager, write(tmp_path, BROKEN))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is TopologyError and copy.errors == error.errors and str(copy) == str(error)


def test_where_in_a_script(manager: VMManager, tmp_path: Path) -> None:
    (tmp_path / "bad.lua").write_text("local x = 1\nx x\n")
    fault = refused(manager, write(tmp_path, "version: 1\nvms:\n  a: {script: bad.lua}\n")).errors[0]
    assert (fault.script, fault.script_line, fault.script_text) == ("bad.lua", 2, "x x")
    assert "bad.lua:2" in str(fault)


def test_variables_come_from_the_environment(manager: VMManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "version: 1\nvms:\n  a: {code: 'return', memory: '${BX_TEST_SIZE}'}\n")
    assert "BX_TEST_SIZE" in str(refused(manager, path))
    monkeypatch.setenv("BX_TEST_SIZE", "32MiB")
    assert manager.check(path) == []


def test_files_that_are_none(manager: VMManager, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manager.check(tmp_path / "none.yaml")
    with pytest.raises((IsADirectoryError, ValueError)):
        manager.check(tmp_path)
    assert refused(manager, write(tmp_path, "")).errors
    large = refused(manager, write(tmp_path, "# " + "x" * (1 << 20) + "\nversion: 1\n"))
    assert "1 MiB" in str(large) or "large" in str(large)
