"""bioxen daemon: its socket path, its end, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from bxrun import USER_ID, Bioxen, Running, end
from waiting import wait_for


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def start(bioxen: Bioxen, path: Path, **more: object) -> Running:
    running = bioxen.start("daemon", "--socket", path, **more)
    try:
        wait_for(lambda: listens(path) or running.cli.poll() is not None, 10, "a daemon that listens")
    except BaseException:
        end(running.cli)
        raise
    return running


@pytest.fixture
def path(work: Path) -> Path:
    return work / "d.sock"


def test_serves_and_ends(bx_any: Bioxen, path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        daemon = start(bx_any, path)
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
        daemon.cli.send_signal(number)
        result = daemon.finish()
        assert result.status == 0, result
        assert result.out == b""
        assert f"serving at {path}" in result.errors
        assert not path.exists()


def test_the_default_path(bx_any: Bioxen, path: Path) -> None:
    daemon = bx_any.start("daemon", env={"BIOXEN_SOCKET": str(path)})
    wait_for(lambda: listens(path), 10, "a daemon that listens")
    end(daemon.cli)
    assert not path.exists()


def test_two_are_one_too_many(bx_any: Bioxen, path: Path) -> None:
    daemon = start(bx_any, path)
    second = bx_any.call("daemon", "--socket", path)
    assert second.status == 125
    assert f"a daemon serves at {path} already" in second.errors
    assert listens(path)
    end(daemon.cli)


def test_many_at_once_and_one_wins(bx_any: Bioxen, path: Path) -> None:
    dead = start(bx_any, path)
    dead.cli.kill()
    dead.cli.communicate()
    daemons = [bx_any.start("daemon", "--socket", path) for _ in range(8)]
    wait_for(lambda: sum(d.cli.poll() is None for d in daemons) == 1, 20, "one daemon that is left")
    assert listens(path)
    for daemon in daemons:
        end(daemon.cli)
    assert not path.exists()


@pytest.mark.parametrize("victim", ["bioxen", "bioxend", "bioxen-jailer"])
def test_killed(bx_any: Bioxen, path: Path, victim: str) -> None:
    daemon = start(bx_any, path)
    processes = {"bioxend": daemon.daemon.pid, "bioxen-jailer": daemon.jailer.pid, "bioxen": daemon.cli.pid}
    os.kill(processes[victim], signal.SIGKILL)
    result = daemon.finish()
    if victim == "bioxen":
        assert path.exists()  # nobody was left to remove it: the next one replaces it
    else:
        assert result.status == 125 and "ended unexpectedly" in result.errors
        assert not path.exists()
    again = start(bx_any, path)
    assert listens(path)
    end(again.cli)


def test_what_is_in_the_way_stays(bx_any: Bioxen, path: Path) -> None:
    path.write_text("precious")
    result = bx_any.call("daemon", "--socket", path)
    assert result.status == 125 and "is no socket" in result.errors
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        bx_any.give(path)
        other.listen()
        result = bx_any.call("daemon", "--socket", path)
        assert result.status == 125 and "is in use" in result.errors
        assert path.exists()


def test_another_took_the_path(bx_any: Bioxen, path: Path) -> None:
    daemon = start(bx_any, path)
    path.unlink()
    path.write_text("precious")
    end(daemon.cli)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("options,text", [
    (["--socket", ""], "1 to 107 bytes"),
    (["--socket", "x" * 108], "1 to 107 bytes"),
    (["--sockets", "x"], "did you mean '--socket'?"),
    (["now"], "unexpected argument 'now'"),
])
def test_wrong_usage(bx_any: Bioxen, options: list[str], text: str) -> None:
    result = bx_any.call("daemon", *options)
    assert result.status == 2 and text in result.errors


def test_no_directory(bx_any: Bioxen, work: Path) -> None:
    result = bx_any.call("daemon", "--socket", work / "nowhere" / "d.sock")
    assert result.status == 125 and "nowhere" in result.errors


def test_no_path(bx_any: Bioxen) -> None:
    if bx_any.user or os.getuid() != 0:
        result = bx_any.call("daemon", env={"XDG_RUNTIME_DIR": "", "BIOXEN_SOCKET": ""})
        assert result.status == 2 and "BIOXEN_SOCKET" in result.errors


@pytest.mark.root
def test_a_stranger_is_sent_away(bx_any: Bioxen, path: Path) -> None:
    daemon = start(bx_any, path)
    path.chmod(0o666)
    path.parent.chmod(0o755)
    knock = ("import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\n"
             "print(s.recv(4096), s.recv(4096))")
    line = ["setpriv", f"--reuid={USER_ID + 1}", f"--regid={USER_ID + 1}", "--clear-groups", "--", "/usr/bin/python3", "-c",
            knock, str(path)]
    out = subprocess.run(line, capture_output=True, timeout=20, check=False)
    assert b"belongs to another user" in out.stdout and out.stdout.endswith(b"b''\n"), out
    end(daemon.cli)
