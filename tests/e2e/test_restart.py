"""bioxen run --restart: what is run again, what is said of it, and what of that is the exit status and the report."""

from __future__ import annotations

import os
import re
import signal

from bxrun import Bioxen


def test_a_good_end_is_an_end(bx: Bioxen) -> None:
    result = bx.run("--restart", "on-failure", "-e", "print 'once'")
    assert (result.status, result.text, result.errors) == (0, "once\n", "")


def test_no_is_the_default(bx: Bioxen) -> None:
    for option in ([], ["--restart", "no"]):
        result = bx.run(*option, "-e", "print 'x' os.exit(3)")
        assert (result.status, result.text, result.errors) == (3, "x\n", "")


def test_it_is_given_up(bx: Bioxen) -> None:
    result = bx.run("--restart", "on-failure", "-e", "print(#arg) os.exit(5)", "a", "b")
    assert (result.status, result.text) == (5, "2\n" * 6)
    lines = result.errors.splitlines()
    assert len(lines) == 6
    for line in lines[:5]:
        assert re.fullmatch(r"bioxen: \(command line\): ended with 5; it is started again in [0-9.]+m?s", line), line
    assert lines[5] == "bioxen: (command line): not started again: it would be restarted more than 5 times within 1m"
    record = result.record
    assert (record["outcome"], record["exit_code"], record["restarts"]) == ("exit", 5, 5)


def test_what_does_not_compile_is_not_tried_again(bx: Bioxen) -> None:
    result = bx.run("--restart", "always", "-e", "x =")
    assert result.status == 126
    assert result.errors.endswith("bioxen: (command line): not started again: its script does not compile\n")


def test_a_signal_is_the_end(bx: Bioxen) -> None:
    with bx.busy("--restart", "always") as running:
        running.cli.send_signal(signal.SIGINT)
        assert running.finish().status == 130


def test_ctrl_c_ends_it_whenever_it_comes(bx: Bioxen) -> None:
    for _ in range(10):
        running = bx.start("run", "--restart", "always", "-e", "print 'life'")
        running.wait_line(b"life\n")
        running.cli.send_signal(signal.SIGINT)
        assert running.finish().status in (0, 130)


def test_the_jailed_process_is_another_one(bx: Bioxen) -> None:
    with bx.busy("--restart", "on-failure") as running:
        first = running.vm.pid
        os.kill(first, signal.SIGKILL)
        running.wait_line()
        assert running.vm.pid != first
