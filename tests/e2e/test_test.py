"""bioxen test: test files, each in a VM of its own."""

from __future__ import annotations

import os
import re
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bxrun import Bioxen, Result
from waiting import SLOW


def tap(result: Result) -> dict[str, bool]:
    """Name -> passed, of a whole TAP stream."""
    lines = result.text.splitlines()
    assert lines[0] == "TAP version 14"
    found = [re.fullmatch(r"(not )?ok (\d+) - (.*) # time=\d+ms", line) for line in lines]
    tests = [match for match in found if match]
    assert [int(match[2]) for match in tests] == list(range(1, len(tests) + 1))
    assert lines[1] == f"1..{len(tests)}"
    return {match[3]: match[1] is None for match in tests}


def test_finds_runs_and_tells(bx_any: Bioxen) -> None:
    bx_any.write("t/b_test.lua", "x = (x or 0) + 1 assert(x == 1) print('quiet')")
    bx_any.write("t/a_test.lua", "x = (x or 0) + 1 assert(x == 1) assert(require('helper').two == 2)")
    bx_any.write("t/helper.lua", "return {two = 2}")
    bx_any.write("t/deep/er/c_test.lua", "os.exit(0)")
    bx_any.write("t/.hidden/d_test.lua", "error('not to be found')")
    bx_any.write("t/not_a_tes.lua", "error('not to be found')")
    os.symlink("..", bx_any.work / "t/deep/loop")
    result = bx_any.call("test", "t")
    assert result.status == 0, result
    assert tap(result) == {"t/a_test.lua": True, "t/b_test.lua": True, "t/deep/er/c_test.lua": True}
    assert "quiet" not in result.text
    assert "3 passed, 0 failed" in result.errors


@pytest.mark.parametrize("code,outcome,status,text", [
    ("print('said') error('boom')", "error", 1, "boom"),
    ("os.exit(3)", "exit", 3, None),
    ("x = = 1", "syntax", 126, "unexpected symbol"),
    ("while true do end", "timeout", 124, "time limit of 300ms"),
    ("local s = 'x' while true do s = s .. s end", "error", 1, "not enough memory"),
])
def test_failures(bx: Bioxen, code: str, outcome: str, status: int, text: str | None) -> None:
    bx.write("a_test.lua", code)
    bx.write("b_test.lua", "return")
    result = bx.call("test", "--timeout", "300ms" if outcome == "timeout" else "20s", "--junit", "j.xml", ".")
    assert result.status == 1, result
    assert tap(result) == {"./a_test.lua": False, "./b_test.lua": True}
    assert f"outcome: {outcome}" in result.text and f"exit_code: {status}" in result.text
    assert text is None or text in result.text
    assert ("# said" in result.text) == ("said" in code)
    suite = ET.parse(bx.work / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    failure = suite[0].find("failure")
    assert failure is not None and failure.get("type") == outcome


def test_none(bx: Bioxen, work: Path) -> None:
    result = bx.call("test", work)
    assert result.status == 5 and "no *_test.lua" in result.errors and result.out == b""


@pytest.mark.parametrize("arguments,status,text", [
    ([], 2, "which files"),
    (["nowhere"], 127, "nowhere"),
    ([""], 127, "No such file"),
    (["--jobs", "0", "."], 2, "allowed is 1 to 256"),
    (["--mount", "/:/x", "."], 2, "needs --profile full"),
    (["--junit", "no/where.xml", "a_test.lua"], 125, "no/where.xml"),
    (["--report", "x", "."], 2, "unknown option '--report'"),
])
def test_wrong_usage(bx: Bioxen, arguments: list[str], status: int, text: str) -> None:
    bx.write("a_test.lua", "return")
    result = bx.call("test", *arguments)
    assert result.status == status and text in result.errors, result


def test_a_named_file_is_a_test_once(bx: Bioxen) -> None:
    bx.write("plain.lua", "return")
    assert tap(bx.call("test", "plain.lua", "plain.lua")) == {"plain.lua": True}


def test_hostile_words_stay_words(bx: Bioxen) -> None:
    bx.write("a # b\n\x1b[31m_test.lua", "print('ok 7 - forged\\n\\27[2J]]>\\0\\xff') error('<&\\1>')")
    result = bx.call("test", "--junit", "j.xml", ".")
    assert result.status == 1
    assert "\x1b" not in result.text and "\nok 7" not in result.text
    assert result.text.count("\nnot ok 1 - ") == 1 and "a \\# b" in result.text
    suite = ET.parse(bx.work / "j.xml").getroot()[0]
    assert "]]>" in (suite[0].findtext("system-out") or "")


def test_much_output_is_cut(bx: Bioxen) -> None:
    bx.write("a_test.lua", "for i = 1, 40000 do print('line ' .. i) end error('end')")
    result = bx.call("test", ".")
    assert "# output (its end):" in result.text
    assert "# line 40000\n" in result.text and "# line 1\n" not in result.text and len(result.out) < 200_000


def test_in_parallel(bx: Bioxen) -> None:
    for i in range(40):
        bx.write(f"{i:02}_test.lua", f"assert({i} ~= 17)")
    result = bx.call("test", "-j", "16", ".", deadline=60)
    assert result.status == 1
    assert [name for name, passed in tap(result).items() if not passed] == ["./17_test.lua"]


def test_interrupted(bx: Bioxen) -> None:
    bx.write("a_test.lua", "return")
    bx.write("b_test.lua", "while true do end")
    running = bx.start("test", "-j", "2", "--junit", "j.xml", ".")
    running.wait_line(b"ok 1 - ")
    running.cli.send_signal(signal.SIGINT)
    result = running.finish()
    assert result.status == 130 and "Bail out!" in result.text
    suite = ET.parse(bx.work / "j.xml").getroot()[0]
    assert suite.get("skipped") == "1"


def test_nobody_reads(bx: Bioxen) -> None:
    for i in range(4):
        bx.write(f"{i}_test.lua", "error(('x'):rep(10000))")
    running = bx.start("test", "-j", "1", ".")
    assert running.cli.stdout is not None
    running.cli.stdout.close()
    assert running.cli.wait(timeout=20 * SLOW) == 141
    with open("/dev/full", "wb") as full:
        running = bx.start("test", ".", stdout=full)
        _, err = running.cli.communicate(timeout=20 * SLOW)
    assert running.cli.returncode == 125 and b"cannot write to standard output" in err


def test_a_test_that_cannot_be_read(bx: Bioxen) -> None:
    os.mkfifo(bx.work / "a_test.lua")
    os.symlink("nowhere", bx.work / "b_test.lua")
    bx.write("c_test.lua", "return")
    result = bx.call("test", ".")
    assert tap(result) == {"./c_test.lua": True}
    result = bx.call("test", "a_test.lua", "c_test.lua")
    assert result.status == 1 and tap(result) == {"a_test.lua": False, "c_test.lua": True}


def test_options_of_run(bx: Bioxen) -> None:
    """The profile full, its mounts and its environment reach the tests."""
    bx.write("data/x.txt", "seen")
    bx.write("a_test.lua", "assert(io.open('/data/x.txt'):read('a') == os.getenv('WANT'))")
    result = bx.call("test", "--profile", "full", "--mount", f"{bx.work}/data:/data", "--env", "WANT=seen", ".")
    assert result.status == 0, result
