"""The death record that --report writes: every key, for every way a script can end."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from bxrun import Bioxen, Result
from hostview import place_for_groups
from waiting import SLOW, scaled

KEYS = {"outcome", "exit_code", "signal", "error", "traceback", "syscall", "wall_ms", "cpu_ms", "memory_peak",
        "output_bytes", "restarts", "limits"}
LIMITS = {"memory", "cpus", "timeout", "cpu_time", "pids", "output_limit"}


def check_shape(record: dict[str, Any]) -> None:
    assert KEYS <= set(record), f"missing: {KEYS - set(record)}"
    assert LIMITS == set(record["limits"])
    for name, limit in record["limits"].items():
        assert {"asked", "enforced_by"} <= set(limit), name
    assert isinstance(record["exit_code"], int)
    assert record["wall_ms"] >= 0 and record["cpu_ms"] >= 0 and record["output_bytes"] >= 0
    assert record["restarts"] == 0


def outcome_of(result: Result) -> str:
    check_shape(result.record)
    return result.record["outcome"]


def test_ok(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval("print('hi')", "--profile", profile)
    record = result.record
    assert outcome_of(result) == "ok"
    assert (record["exit_code"], record["signal"], record["error"], record["traceback"], record["syscall"]) == \
        (0, None, None, None, None)
    assert record["output_bytes"] == 3


def test_error_has_message_and_traceback(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval("local function f() error('boom') end f()", "--profile", profile)
    record = result.record
    assert outcome_of(result) == "error"
    assert record["exit_code"] == 1 and record["signal"] is None
    assert record["error"] == "(command line):1: boom"
    assert "stack traceback:" in record["traceback"] and "'f'" in record["traceback"]


def test_syntax(bx: Bioxen) -> None:
    result = bx.eval("x = = 1")
    assert outcome_of(result) == "syntax"
    assert result.record["exit_code"] == 126 and "unexpected symbol" in result.record["error"]


@pytest.mark.parametrize("status", [0, 1, 3, 124, 137, 255])
def test_exit(bx: Bioxen, status: int) -> None:
    result = bx.eval(f"os.exit({status})")
    assert outcome_of(result) == "exit"
    assert result.record["exit_code"] == status == result.status and result.record["signal"] is None


def test_timeout(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval("print('up') while true do end", "--timeout", scaled(300), "--profile", profile)
    assert outcome_of(result) == "timeout"
    assert result.status == 124 == result.record["exit_code"]
    assert result.record["wall_ms"] >= 290 and result.record["cpu_ms"] > 0
    assert result.out == b"up\n"
    assert "300ms" in result.errors or "timeout" in result.errors.lower() or "time" in result.errors.lower()


def test_cpu_time(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval("while true do end", "--cpu-time", "300ms", "--timeout", scaled(10000), "--profile", profile)
    assert outcome_of(result) == "cpu"
    assert result.status == 124 == result.record["exit_code"]
    assert 250 <= result.record["cpu_ms"] <= 300 + 500 * SLOW
    assert result.seconds < 5 * SLOW


def test_memory_uncaught(bx_any: Bioxen, profile: str) -> None:
    """An uncaught "not enough memory" is a Lua error or death by the memory limit, and the status agrees with it."""
    result = bx_any.eval("local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end", "--memory", "32MiB",
                         "--profile", profile)
    outcome = outcome_of(result)
    assert outcome in ("error", "memory")
    assert result.status == {"error": 1, "memory": 137}[outcome] == result.record["exit_code"]
    assert "not enough memory" in result.errors
    assert 0 < result.record["memory_peak"] <= 36 << 20


def test_output(bx_any: Bioxen) -> None:
    result = bx_any.eval("while true do print(('x'):rep(1000)) end", "--output-limit", "64KiB")
    assert outcome_of(result) == "output"
    assert result.status == 137 == result.record["exit_code"]
    assert len(result.out) <= 64 << 10
    assert result.record["limits"]["output_limit"]["asked"] == 64 << 10


@pytest.mark.probe
def test_policy_names_the_syscall(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval('require("native_probe").call(101, 0)', "--profile", profile)
    assert outcome_of(result) == "policy"
    assert result.status == 159 == result.record["exit_code"]
    assert (result.record["syscall"], result.record["signal"]) == ("ptrace", signal.SIGSYS)
    assert "ptrace" in result.errors


@pytest.mark.probe
def test_crash(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.eval('print("last words") require("native_probe").segv()', "--profile", profile)
    assert outcome_of(result) == "crash"
    assert result.status == 139 == result.record["exit_code"]
    assert result.record["signal"] == signal.SIGSEGV
    assert result.out == b"last words\n"


def test_killed_by_ctrl_c(bx: Bioxen) -> None:
    report = bx.work / "r.json"
    with bx.busy("--report", report) as running:
        running.cli.send_signal(signal.SIGINT)
        assert running.finish().status == 130
    record = json.loads(report.read_text())
    check_shape(record)
    assert (record["outcome"], record["exit_code"]) == ("killed", 130)


def test_internal_when_the_jailer_dies(bx: Bioxen) -> None:
    report = bx.work / "r.json"
    with bx.busy("--report", report) as running:
        os.kill(running.jailer.pid, signal.SIGKILL)
        result = running.finish()
    record = json.loads(report.read_text())
    check_shape(record)
    assert (result.status, record["outcome"], record["exit_code"]) == (125, "internal", 125)
    assert result.err.strip() != b""


def test_limits_as_asked(bx: Bioxen) -> None:
    if place_for_groups("cpu") is None:
        pytest.skip("half a processor needs a control group with the cpu controller, and none is ours")
    result = bx.eval("print(1)", "--memory", "32MiB", "--cpus", "0.5", "--timeout", "5s", "--cpu-time", "1500ms",
                     "--pids", "8", "--output-limit", "1MiB")
    limits = result.record["limits"]
    assert {name: limit["asked"] for name, limit in limits.items()} == {
        "memory": 32 << 20, "cpus": 0.5, "timeout": 5000, "cpu_time": 1500, "pids": 8, "output_limit": 1 << 20}
    assert all(limit["enforced_by"] for limit in limits.values()), limits


def test_limits_by_default(bx_any: Bioxen) -> None:
    limits = bx_any.eval("print(1)").record["limits"]
    assert limits["memory"]["asked"] == 64 << 20 and "allocator" in limits["memory"]["enforced_by"]
    assert limits["cpus"]["asked"] == 1 and limits["cpus"]["enforced_by"]
    assert limits["timeout"]["asked"] is None and limits["cpu_time"]["asked"] is None
    assert limits["output_limit"]["asked"] == 10 << 20 and limits["output_limit"]["enforced_by"]


@pytest.mark.parametrize("text, size", [("67108864", 64 << 20), ("65536K", 64 << 20), ("65536KiB", 64 << 20),
                                        ("64M", 64 << 20), ("64MiB", 64 << 20), ("1G", 1 << 30), ("1GiB", 1 << 30)])
def test_sizes(bx: Bioxen, text: str, size: int) -> None:
    result = bx.eval("print(1)", "--memory", text)
    assert result.record["limits"]["memory"]["asked"] == size


@pytest.mark.parametrize("text, milliseconds", [("250ms", 250), ("5s", 5000), ("2m", 120000), ("0.5s", 500), ("1.5s", 1500)])
def test_times(bx: Bioxen, text: str, milliseconds: int) -> None:
    assert bx.eval("print(1)", "--timeout", text).record["limits"]["timeout"]["asked"] == milliseconds


def test_error_message_is_cut(bx: Bioxen) -> None:
    result = bx.eval("error(('x'):rep(1 << 22))", deadline=10)
    assert outcome_of(result) == "error" and result.status == 1
    assert len(result.record["error"]) <= 64 << 10 and len(result.err) <= 256 << 10
    assert result.record["error"].startswith("(command line):1: xxxx")


def test_error_with_odd_bytes_is_valid_json(bx: Bioxen) -> None:
    result = bx.eval(r"error('\255\254\0\27[31m\r\n\"\\ end', 0)")
    assert outcome_of(result) == "error"
    assert "end" in result.record["error"] and "\x1b[31m" in result.record["error"]


def test_error_bytes_do_not_drive_the_terminal(bx: Bioxen) -> None:
    """What a script says in an error reaches the terminal escaped: no colours, no title, no cursor."""
    result = bx.eval(r"error('\27]0;owned\7\27[2J', 0)")
    assert b"\x1b" not in result.err and b"\x07" not in result.err


def test_report_counts_both_streams(bx: Bioxen) -> None:
    result = bx.eval("io.write(('o'):rep(1000)) io.stderr:write(('e'):rep(500))", "--profile", "full")
    assert result.record["output_bytes"] == 1500
    assert (len(result.out), len(result.err)) == (1000, 500)


def test_cpu_is_measured(bx_any: Bioxen) -> None:
    code = "local t = os.clock() while os.clock() - t < 0.3 do end"
    record = bx_any.eval(code).record
    assert 250 <= record["cpu_ms"] <= 300 + 600 * SLOW and record["wall_ms"] >= 280


def test_memory_peak_is_measured(bx_any: Bioxen) -> None:
    small = bx_any.eval("print(1)").record["memory_peak"]
    large = bx_any.eval("local s = ('x'):rep(20 << 20) print(#s)").record["memory_peak"]
    assert small < 8 << 20 and 20 << 20 <= large <= 64 << 20


def test_report_is_written_even_for_bad_usage_of_the_script(bx: Bioxen) -> None:
    """A script that is missing ended before it began: there may be a record, and if so it says so."""
    result = bx.run("no-such-file.lua")
    assert result.status == 127
    if result.report is not None:
        check_shape(result.report)
        assert result.report["exit_code"] == 127


def test_report_replaces_an_old_file_whole(bx: Bioxen) -> None:
    place = bx.write("old.json", "x" * 100000)
    assert bx.run("--report", place, "-e", "print(1)", report=False).status == 0
    check_shape(json.loads(place.read_text()))


@pytest.mark.parametrize("place", ["no/such/dir/r.json", ".", "/proc/nothing", "/dev/full"])
def test_report_that_cannot_be_written(bx: Bioxen, place: str) -> None:
    result = bx.run("--report", place, "-e", "print(1)", report=False)
    assert result.status == 125 and place.rstrip("/") in result.errors and len(result.errors.splitlines()) <= 2


def test_report_to_stdout_device(bx: Bioxen) -> None:
    """A FIFO or /dev/stdout as the place is the user's wish."""
    result = bx.run("--report", "/dev/stdout", "-e", "os.exit(0)", report=False)
    assert result.status in (0, 125)
    if result.status == 0:
        check_shape(json.loads(result.out))


def test_report_through_symlink_keeps_other_files(bx: Bioxen) -> None:
    target = bx.write("target.json", "{}")
    link = bx.work / "link.json"
    link.symlink_to(target)
    assert bx.run("--report", link, "-e", "print(1)", report=False).status == 0
    check_shape(json.loads(link.read_text()))
