"""The verbs for topologies: up, down, ps, logs, events, exec, attach, stop, start, restart, kill, stats, inspect."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import termios
from pathlib import Path
from typing import Any, Iterator

import pytest

from bxrun import REPOSITORY, Bioxen, Result, end
from waiting import SLOW, wait_for

DUO = """
version: 1
name: duo
vms:
  one:
    code: |
      local bioxen = require "bioxen"
      print("one is here")
      x = {1, 2, name = "n"}
      bioxen.ready()
      while true do bioxen.sleep(0.1) end
  two:
    depends_on: [one]
    code: |
      local bioxen = require "bioxen"
      io = nil
      print("two is here")
      bioxen.ready()
      while true do bioxen.sleep(0.1) end
"""
ENDING = "version: 1\nname: short\nvms:\n  a: {code: 'print(\"done\")'}\n  b: {code: 'os.exit(%d)'}\n"


@pytest.fixture
def place(bx_any: Bioxen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bioxen]:
    """A socket path that nobody serves; whatever daemon comes there is taken down."""
    monkeypatch.setenv("BIOXEN_SOCKET", str(bx_any.work / "d.sock"))
    bx_any.write("duo.yaml", DUO)
    yield bx_any
    if (bx_any.work / "d.sock").exists():
        bx_any.call("down")
        wait_for(lambda: not (bx_any.work / "d.sock").exists(), 10, "the daemon's end")


@pytest.fixture
def duo(place: Bioxen) -> Bioxen:
    result = place.call("up", "-d", "--wait", "duo.yaml")
    assert result.status == 0, result
    assert "started a daemon" in result.errors and result.out == b""
    return place


def listed(bioxen: Bioxen) -> dict[str, Any]:
    result = bioxen.call("ps", "--json")
    assert result.status == 0, result
    return {vm["name"]: vm for vm in json.loads(result.text)}


def test_up_ps_down(duo: Bioxen) -> None:
    vms = listed(duo)
    assert {name: (vm["state"], vm["ready"], vm["topology"]) for name, vm in vms.items()} == {
        "one": ("running", True, "duo"), "two": ("running", True, "duo")}
    table = duo.call("ps", "duo").text.splitlines()
    assert table[0].split()[:4] == ["NAME", "TOPOLOGY", "STATE", "READY"] and len(table) == 3
    again = duo.call("up", "-d", "--json", "duo.yaml")
    assert json.loads(again.text)["vms"] == [] and json.loads(again.text)["vms_kept"] == 2
    assert listed(duo)["one"]["pid"] == vms["one"]["pid"]
    result = duo.call("down", "duo")
    assert result.status == 0 and "duo: down" in result.errors
    wait_for(lambda: not (duo.work / "d.sock").exists(), 10, "the end of a daemon that has nothing to do")
    late = duo.call("ps")
    assert late.status == 125 and "there is no daemon" in late.errors


def test_only_what_differs(duo: Bioxen) -> None:
    before = listed(duo)
    duo.write("duo.yaml", DUO.replace("two is here", "two is new"))
    plan = duo.call("up", "--dry-run", "duo.yaml")
    assert plan.status == 0 and "two" in plan.text and "one" not in plan.text
    assert listed(duo)["two"]["pid"] == before["two"]["pid"]
    assert duo.call("up", "-d", "--wait", "duo.yaml").status == 0
    after = listed(duo)
    assert after["one"]["pid"] == before["one"]["pid"] and after["two"]["pid"] != before["two"]["pid"]


def test_dry_run_without_a_daemon(place: Bioxen) -> None:
    result = place.call("up", "--dry-run", "duo.yaml")
    assert result.status == 0 and result.text.splitlines() == ["+ add one", "+ add two"], result
    assert not (place.work / "d.sock").exists()


def test_exec(duo: Bioxen) -> None:
    def exec_(*args: str) -> Result:
        return duo.call("exec", *args)

    assert exec_("one", "x").text == '{1, 2, name = "n"}\n'
    assert exec_("duo/one", "return ..., 1 + 1, 1.5, nil, '\\7'", "--", "a").text == "--\t2\t1.5\tnil\t\x07\n"
    assert exec_("one", "y = 5").text == ""
    assert exec_("one", "y").text == "5\n"
    assert exec_("one", "print('said') return 1").text == "said\n1\n"
    boom = exec_("one", "error('boom')")
    assert boom.status == 1 and "boom" in boom.errors and "traceback" in boom.errors and boom.out == b""
    assert exec_("one", "x = =").status == 126
    late = exec_("--timeout", "200ms", "one", "while true do end")
    assert late.status == 124
    assert exec_("one", "y").text == "5\n", "the VM lives on"
    unknown = exec_("onne", "1")
    assert unknown.status == 1 and "did you mean 'one'?" in unknown.errors
    assert exec_("one").status == 2


def test_exec_interrupted(duo: Bioxen) -> None:
    running = duo.start("exec", "one", "print('up') while true do end")
    running.wait_line()
    running.cli.send_signal(signal.SIGINT)
    assert running.finish().status == 130
    assert duo.call("exec", "one", "1").text == "1\n"


def test_logs(duo: Bioxen) -> None:
    def printed(vm: str) -> str:
        return duo.call("logs", vm).text

    wait_for(lambda: printed("one") and printed("two"), 10, "what both print")
    assert printed("one") == "one is here\n"
    assert sorted(duo.call("logs").text.splitlines()) == ["duo/one | one is here", "duo/two | two is here"]
    line = json.loads(duo.call("logs", "--json", "duo/two").text)
    assert (line["vm"], line["stream"], line["text"]) == ("duo/two", "stdout", "two is here\n")
    running = duo.start("logs", "-f", "one")
    running.wait_line(b"one is here\n")
    assert duo.call("exec", "one", "print('more') io = nil").status == 0
    running.wait_line(b"more\n")
    running.cli.send_signal(signal.SIGINT)
    assert running.finish().status == 0
    assert duo.call("logs", "thre").status == 1


def test_logs_nobody_reads(duo: Bioxen) -> None:
    running = duo.start("logs", "-f", "one")
    assert running.cli.stdout is not None
    running.wait_line(b"one is here\n")
    running.cli.stdout.close()
    duo.call("exec", "one", "print('more')")
    assert running.cli.wait(timeout=20 * SLOW) == 141


def test_events(duo: Bioxen) -> None:
    running = duo.start("events", "--json")
    running.wait_line(b'"live"')
    assert duo.call("kill", "one").status == 0
    running.wait_line(b'"death"')
    assert duo.call("start", "one").status == 0
    running.wait_line(b'"start"')
    running.cli.send_signal(signal.SIGTERM)
    assert running.finish().status == 0


def test_stop_start_restart_kill(duo: Bioxen) -> None:
    pid = listed(duo)["one"]["pid"]
    assert duo.call("restart", "one").status == 0
    assert listed(duo)["one"]["pid"] != pid
    assert duo.call("stop", "--grace", "1s", "one", "two").status == 0
    assert [vm["state"] for vm in listed(duo).values()] == ["stopped", "stopped"]
    assert "does not run" in duo.call("exec", "one", "1").errors
    assert duo.call("start", "one", "two").status == 0
    assert [vm["state"] for vm in listed(duo).values()] == ["running", "running"]
    result = duo.call("kill", "tow", "one")
    assert result.status == 1 and "did you mean 'two'?" in result.errors
    wait_for(lambda: listed(duo)["one"]["state"] != "running", 10, "the killed VM's end")


def test_stats_and_inspect(duo: Bioxen) -> None:
    figures = {vm["name"]: vm for vm in json.loads(duo.call("stats", "--json").text)}
    assert figures["one"]["memory"] > 0 and figures["one"]["output_bytes"] == len("one is here\n")
    assert duo.call("stats").text.splitlines()[1].split()[:2] == ["one", "duo"]
    one = json.loads(duo.call("inspect", "one").text)
    assert one["name"] == "one" and one["topology"] == "duo" and one["memory"] == 64 << 20
    live = duo.start("stats", "--live", "--json")
    live.wait_line(b"]\n[")
    live.cli.send_signal(signal.SIGINT)
    assert live.finish().status == 0


def test_attach_without_a_terminal(duo: Bioxen) -> None:
    result = duo.call("attach", "one", input=b"y = 5\ny\nfor i = 1, 2 do\nprint(i)\nend\n\nerror('oops')\nx = =\ny\n")
    assert result.status == 0, result
    lines = result.text.splitlines()
    assert lines[:3] == ["5", "1", "2"] and "oops" in lines[3] and lines[-1] == "5"


def take_terminal() -> None:
    """Ctrl-C becomes a signal only on a process's own terminal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    def __init__(self, bioxen: Bioxen, *args: str) -> None:
        self.ours, theirs = pty.openpty()
        self.running = bioxen.start(*args, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=take_terminal)
        os.close(theirs)
        os.set_blocking(self.ours, False)
        self.seen = b""

    def expect(self, text: bytes) -> None:
        def came() -> bool:
            try:
                self.seen += os.read(self.ours, 65536)
            except (BlockingIOError, OSError):
                pass
            return text in self.seen
        wait_for(came, 10, f"{text!r}, saw {self.seen[-300:]!r}")
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def close(self) -> int:
        status = self.running.cli.wait(timeout=10 * SLOW)
        os.close(self.ours)
        return status


def test_attach_on_a_terminal(duo: Bioxen) -> None:
    """While a line is edited it is drawn again and again, and without a newline: that only comes at its end."""
    terminal = Terminal(duo, "attach", "one")

    def enter(keys: bytes, *answers: bytes) -> None:
        terminal.type(keys)
        terminal.expect(b"\r\n")
        for answer in answers:
            terminal.expect(answer)
        terminal.expect(b"one> ")

    terminal.expect(b"one> ")
    enter(b"1+12\x1b[D\x7f\x1b[C0\r", b"21\r\n")  # left, backspace, right: 1+20
    enter(b"z = 'gr\xc3\xbc\xc3\x9f'\r")
    enter(b"#zz\x7f\r", b"6\r\n")
    enter(b"\x1b[A\x1b[A\x01x, z -- \x0b\r", b'{1, 2, name = "n"}\tgr\xc3\xbc\xc3\x9f\r\n')  # up, up, home, kill
    terminal.type(b"print('runs') while true do end\r")
    terminal.expect(b"runs\r\n")
    terminal.type(b"\x03")
    terminal.expect(b"interrupted")
    terminal.expect(b"one> ")
    enter(b"half of it\x03")
    terminal.type(b"\x04")
    assert terminal.close() == 0
    assert duo.call("exec", "one", "#z").text == "6\n"


def test_attach_when_the_vm_ends(duo: Bioxen) -> None:
    terminal = Terminal(duo, "attach", "one")
    terminal.expect(b"one> ")
    assert duo.call("kill", "one").status == 0
    terminal.expect(b"VM 'one' has ended")
    assert terminal.close() == 1


def test_foreground(place: Bioxen) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        running = place.start("up", "duo.yaml")
        running.wait_line(b"two | two is here\n")
        running.cli.send_signal(number)
        result = running.finish()
        assert result.status == 0 and "duo: up" in result.errors and "down" in result.errors, result
    assert not (place.work / "d.sock").exists()


@pytest.mark.parametrize("status", [0, 3])
def test_foreground_ends_with_its_vms(place: Bioxen, status: int) -> None:
    place.write("short.yaml", ENDING % status)
    result = place.call("up", "short.yaml")
    assert result.status == (1 if status else 0), result
    assert result.text == "a | done\n" and "every VM has ended" in result.errors


def test_the_example_ping_pong(place: Bioxen) -> None:
    example = REPOSITORY / "config/ping-pong.yaml"
    result = place.call("up", example, env={"ROUNDS": "50"}, deadline=60)
    assert result.status == 0 and "pinger | 50 round trips" in result.text, result


def test_foreground_killed(place: Bioxen) -> None:
    running = place.start("up", "duo.yaml")
    running.wait_line(b"two is here\n")
    running.cli.kill()
    running.cli.communicate()  # and nothing is left, as the fixture sees


@pytest.mark.parametrize("text,status,message", [
    ("version: 1\nname: x\nvms:\n  a: {code: 'x = ='}\n", 2, "unexpected symbol"),
    ("version: 1\nname: x\nvms:\n  a: {cod: '1'}\n", 2, "did you mean 'code'?"),
    ("version: 1\nname: x\nvms:\n  a: {script: nowhere.lua}\n", 2, "nowhere.lua"),
    ("version: 1\nname: x\nvms:\n  a: {code: '', server: 80, publish: '8080:80'}\n", 125, "cannot do 'publish' yet"),
])
def test_bad_files_start_nothing(place: Bioxen, text: str, status: int, message: str) -> None:
    place.write("x.yaml", text)
    result = place.call("up", "x.yaml")
    assert result.status == status and message in result.errors, result


@pytest.mark.parametrize("arguments,status,text", [
    (["up"], 2, "an argument is missing"),
    (["up", "a.yaml", "b.yaml"], 2, "unexpected argument 'b.yaml'"),
    (["up", "nowhere.yaml"], 2, "there is no such file"),
    (["up", "--dry", "a.yaml"], 2, "unknown option"),
    (["ps", "--jsno"], 2, "did you mean '--json'?"),
    (["stop"], 2, "an argument is missing"),
    (["logs", "--since", "yesterday", "x"], 2, "is not a time"),
    (["ps"], 125, "there is no daemon"),
    (["exec", "a", "1"], 125, "there is no daemon"),
    (["attach", "a"], 125, "there is no daemon"),
    (["ps", "--socket", "/dev/null"], 125, "/dev/null"),
])
def test_wrong_usage(place: Bioxen, arguments: list[str], status: int, text: str) -> None:
    result = place.call(*arguments)
    assert result.status == status and text in result.errors, result
    assert result.out == b""


def test_a_dead_daemon(place: Bioxen, work: Path) -> None:
    daemon = place.start("daemon")
    wait_for(lambda: (work / "d.sock").exists() and place.call("ps").status == 0, 10, "a daemon")
    daemon.cli.kill()
    daemon.cli.communicate()
    result = place.call("ps")
    assert result.status == 125 and "is dead" in result.errors
    assert place.call("up", "-d", "duo.yaml").status == 0, "a dead one is replaced"


def test_vms_of_a_lasting_daemon(place: Bioxen) -> None:
    daemon = place.start("daemon")
    wait_for(lambda: (place.work / "d.sock").exists() and place.call("ps").status == 0, 10, "a daemon")
    assert place.call("up", "-d", "duo.yaml").status == 0
    assert place.call("down").status == 0
    assert place.call("ps").text.splitlines()[1:] == []
    assert daemon.cli.poll() is None
    end(daemon.cli)
