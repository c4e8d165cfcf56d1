"""Output: binary-safe, streaming, limited, and what happens when nobody can take it."""

from __future__ import annotations

import hashlib
import os
import pty
import signal
import subprocess
import time

import pytest

from bxrun import Bioxen, end
from waiting import SLOW, scaled, wait_for

ALL_BYTES = bytes(range(256))


def test_binary_on_stdout(bx_any: Bioxen, profile: str) -> None:
    code = "local t = {} for i = 0, 255 do t[#t + 1] = string.char(i) end local s = table.concat(t):rep(300) "
    code += "io.write(s)" if profile == "full" else "print(s)"
    result = bx_any.eval(code, "--profile", profile)
    assert result.out == ALL_BYTES * 300 + (b"" if profile == "full" else b"\n")


def test_binary_on_stderr(bx: Bioxen) -> None:
    code = "for i = 0, 255 do io.stderr:write(string.char(i)) end"
    assert bx.eval(code, "--profile", "full").err == ALL_BYTES


def test_a_large_output_arrives_whole(bx_any: Bioxen) -> None:
    code = "for i = 1, 90000 do print(i, ('%08x'):format(i * 2654435761 & 0xffffffff), ('x'):rep(80)) end"
    want = "".join(f"{i}\t{i * 2654435761 & 0xFFFFFFFF:08x}\t{'x' * 80}\n" for i in range(1, 90001)).encode()
    result = bx_any.eval(code, "--output-limit", "20MiB")
    assert result.status == 0
    assert hashlib.sha256(result.out).digest() == hashlib.sha256(want).digest()


def test_no_newline_at_the_end(bx: Bioxen) -> None:
    assert bx.eval("io.write('no newline')", "--profile", "full").out == b"no newline"


def test_streams_as_it_comes(bx_any: Bioxen, profile: str) -> None:
    """A line is there while the script still runs."""
    running = bx_any.start("run", "--profile", profile, "-e", "print('first') while true do end")
    try:
        begin = time.monotonic()
        running.wait_line(b"first\n", seconds=5)
        assert time.monotonic() - begin < 2 * SLOW
        assert running.cli.poll() is None
    finally:
        end(running.cli)


def test_stderr_streams_unbuffered(bx: Bioxen) -> None:
    running = bx.start("run", "--profile", "full", "-e", "io.stderr:write('part') while true do end")
    try:
        assert running.cli.stderr is not None
        assert running.cli.stderr.read(4) == b"part"
    finally:
        end(running.cli)


def test_output_before_a_kill_is_not_lost(bx: Bioxen, profile: str) -> None:
    result = bx.eval("for i = 1, 100 do print(i) end while true do end", "--cpu-time", scaled(300), "--profile", profile)
    assert result.status == 124
    assert result.out == b"".join(b"%d\n" % i for i in range(1, 101))


def test_ctrl_c_ends_it(bx_any: Bioxen, profile: str) -> None:
    with bx_any.busy(profile=profile) as running:
        begin = time.monotonic()
        running.cli.send_signal(signal.SIGINT)
        assert running.finish().status == 130
        assert time.monotonic() - begin < 1 * SLOW


@pytest.mark.parametrize("name, status", [("SIGTERM", 143), ("SIGHUP", 129)])
def test_other_signals_end_it(bx_any: Bioxen, name: str, status: int) -> None:
    with bx_any.busy() as running:
        running.cli.send_signal(getattr(signal, name))
        assert running.finish().status == status


def test_ctrl_c_reaches_the_whole_foreground_group_but_kills_in_order(bx: Bioxen) -> None:
    """A terminal sends SIGINT to the whole group: the helpers must not die of it before they cleaned up."""
    with bx.busy(start_new_session=True) as running:
        helpers = {p.name for p in running.everyone()}
        os.killpg(running.cli.pid, signal.SIGINT)
        assert running.finish().status == 130
        assert {"bioxend", "bioxen-jailer", "bioxen-janitor", "bioxen-vm"} <= helpers


def test_two_ctrl_c(bx: Bioxen) -> None:
    with bx.busy() as running:
        for _ in range(3):
            running.cli.send_signal(signal.SIGINT)
        assert running.finish().status == 130


def test_ignored_sigint_of_nohup_is_respected(bx: Bioxen) -> None:
    """Started with SIGINT ignored, as by a shell's `&`, a Ctrl-C meant for others does not end it."""
    with bx.busy(code="local t = os.clock() while os.clock() - t < 0.5 do end print('done')",
                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as running:
        running.cli.send_signal(signal.SIGINT)
        result = running.finish()
        assert (result.status, result.out) in ((0, b"done\n"), (130, b""))


def test_broken_pipe(bx_any: Bioxen, profile: str) -> None:
    running = bx_any.start("run", "--profile", profile, "-e", "while true do print('y') end")
    assert running.cli.stdout is not None
    running.cli.stdout.read(2)
    running.cli.stdout.close()
    running.cli.stdout = None
    result = running.finish()
    assert result.status == 141, result
    assert result.err == b"" or b"pipe" in result.err.lower()


def test_head_gets_its_lines(bx: Bioxen) -> None:
    line = f"{bx.program} run -e 'while true do print(1) end' | head -n 3; echo \"${{PIPESTATUS[0]}}\""
    shown = subprocess.run(["bash", "-c", line], env=bx.environment(None), capture_output=True, timeout=20 * SLOW)
    assert shown.stdout == b"1\n1\n1\n141\n"


def test_broken_pipe_of_stderr(bx: Bioxen) -> None:
    running = bx.start("run", "--profile", "full", "-e", "while true do io.stderr:write('y\\n') end")
    assert running.cli.stderr is not None
    running.cli.stderr.read(2)
    running.cli.stderr.close()
    running.cli.stderr = None
    assert running.cli.wait(timeout=10 * SLOW) != 0
    running.finish()


def test_full_device(bx_any: Bioxen) -> None:
    with open("/dev/full", "wb") as full:
        result = bx_any.eval("print('x')", stdout=full)
    assert result.status == 125
    assert "No space left on device" in result.errors


def test_closed_stdout(bx_any: Bioxen) -> None:
    result = bx_any.eval("print('x')", preexec_fn=lambda: os.close(1), stdout=None)
    assert result.status == 125
    assert result.err.strip() != b""


def test_closed_stdout_but_silent_script(bx: Bioxen) -> None:
    assert bx.eval("local x = 1", preexec_fn=lambda: os.close(1), stdout=None).status in (0, 125)


def test_closed_stdin(bx_any: Bioxen) -> None:
    result = bx_any.eval("print('x')", preexec_fn=lambda: os.close(0), report=False)
    assert (result.status, result.out) == (0, b"x\n")


def test_closed_stdin_as_script(bx: Bioxen) -> None:
    result = bx.run("-", preexec_fn=lambda: os.close(0))
    assert result.status == 126 and "stdin" in result.errors


def test_closed_stderr(bx: Bioxen) -> None:
    result = bx.eval("print('x') error('boom')", preexec_fn=lambda: os.close(2), stderr=None)
    assert (result.status, result.out) == (1, b"x\n")


def test_all_closed(bx: Bioxen) -> None:
    """The files that are opened then get numbers 0 to 2: nothing may be written into them."""
    victim = bx.write("victim.lua", "print('written to the wrong file') error('and this')")
    before = victim.read_bytes()

    def close_all() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    result = bx.run("victim.lua", preexec_fn=close_all, stdout=None, stderr=None)
    assert result.status in (1, 125)
    assert victim.read_bytes() == before


def test_slow_reader_makes_no_memory_grow(bx: Bioxen) -> None:
    """Nobody reads stdout: the VM waits, and neither bioxend nor the CLI piles up what it says."""
    running = bx.start("run", "--output-limit", "1GiB", "-e", "local s = ('x'):rep(1 << 16) while true do print(s) end")
    try:
        def settled() -> bool:
            before = _resident(running)
            time.sleep(0.3)
            return _resident(running) == before

        wait_for(settled, 10, "a steady state")
        assert _resident(running) < 48 << 20
    finally:
        end(running.cli)


def _resident(running) -> int:
    pages = 0
    for pid in [running.cli.pid] + [p.pid for p in running.everyone() if p.name in ("bioxend", "bioxen-jailer")]:
        with open(f"/proc/{pid}/statm") as statm:
            pages += int(statm.read().split()[1])
    return pages * 4096


def test_slow_reader_gets_everything(bx: Bioxen) -> None:
    running = bx.start("run", "-e", "for i = 1, 20000 do print(i, ('x'):rep(100)) end")
    assert running.cli.stdout is not None
    time.sleep(0.3)
    got = bytearray()
    while chunk := os.read(running.cli.stdout.fileno(), 50000):
        got += chunk
        time.sleep(0.001)
    assert bytes(got) == b"".join(b"%d\t%s\n" % (i, b"x" * 100) for i in range(1, 20001))
    assert running.finish().status == 0


def test_timeout_holds_while_nobody_reads(bx: Bioxen) -> None:
    running = bx.start("run", "--timeout", "500ms", "-e", "while true do print(('x'):rep(1000)) end")
    begin = time.monotonic()

    def vm_is_gone() -> bool:
        return time.monotonic() - begin > 0.3 and running.one("bioxen-vm") is None

    try:
        wait_for(vm_is_gone, 3, "the end of the VM while stdout is full")
        running.cli.send_signal(signal.SIGTERM)
        running.finish()
    finally:
        end(running.cli)


def test_output_limit_is_exact_enough(bx_any: Bioxen, profile: str) -> None:
    for limit in (1, 1000, 65536, 100000):
        result = bx_any.eval("while true do print('0123456789') end", "--output-limit", str(limit), "--profile", profile)
        assert result.status == 137 and len(result.out) <= limit, (limit, len(result.out))
        assert result.out == (b"0123456789\n" * (limit // 11 + 1))[:len(result.out)]
        assert "output" in result.errors


def test_output_just_at_the_limit_is_fine(bx: Bioxen) -> None:
    result = bx.eval("print(('x'):rep(999))", "--output-limit", "1000")
    assert (result.status, len(result.out), result.record["outcome"]) == (0, 1000, "ok")


def test_output_limit_counts_both_streams(bx: Bioxen) -> None:
    code = "for i = 1, 100 do io.stderr:write(('e'):rep(100)) io.stdout:write(('o'):rep(100)) end"
    result = bx.eval(code, "--output-limit", "5000", "--profile", "full")
    assert result.record["outcome"] == "output" and result.status == 137
    assert result.out.count(b"o") + result.err.count(b"e" * 10) * 0 <= 5000


def test_default_output_limit_is_ten_mebibytes(bx: Bioxen) -> None:
    result = bx.eval("while true do print(('x'):rep(99999)) end")
    assert result.record["outcome"] == "output" and len(result.out) <= 10 << 20
    assert len(result.out) > 9 << 20


def test_output_to_a_file(bx_any: Bioxen) -> None:
    place = bx_any.work / "out.txt"
    with open(place, "wb") as out:
        assert bx_any.eval("for i = 1, 1000 do print(i) end", stdout=out).status == 0
    assert place.read_bytes() == b"".join(b"%d\n" % i for i in range(1, 1001))


def test_output_to_append_only_file_keeps_its_head(bx: Bioxen) -> None:
    place = bx.write("log.txt", "head\n")
    with open(place, "ab") as out:
        bx.eval("print('tail')", stdout=out)
    assert place.read_bytes() == b"head\ntail\n"


def test_nonblocking_stdout_is_waited_for(bx: Bioxen) -> None:
    """A pipe that another program set to non-blocking: nothing is lost, and it is left as it was."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    running = bx.start("run", "-e", "for i = 1, 20000 do print(i, ('x'):rep(100)) end", stdout=writer)
    got = bytearray()
    assert os.get_blocking(writer) is False
    os.close(writer)
    while chunk := os.read(reader, 65536):
        got += chunk
        time.sleep(0.001)
    os.close(reader)
    assert running.finish().status == 0
    assert bytes(got).count(b"\n") == 20000


def test_on_a_terminal(bx: Bioxen) -> None:
    """A terminal for all three: the script sees none of it, and Ctrl-C typed there ends it with 130."""
    master, slave = pty.openpty()
    running = bx.start("run", "--profile", "full", "-e", "print('up', io.read('l')) while true do end",
                       stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                       preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
    os.close(slave)
    try:
        seen = bytearray()
        while b"\n" not in seen:
            seen += os.read(master, 4096)
        assert seen.strip() == b"up\tnil"
        for helper in (running.vm, running.jailer, running.daemon):
            assert (helper.proc / "stat").read_text().rpartition(")")[2].split()[4] == "0", helper
        os.write(master, b"\x03")
        assert running.cli.wait(timeout=5 * SLOW) == 130
    finally:
        end(running.cli)
        os.close(master)


def test_job_control_stop_and_continue(bx: Bioxen) -> None:
    """Ctrl-Z stops the CLI; after fg all goes on."""
    with bx.busy(code="local t = os.clock() while os.clock() - t < 0.5 do end print('done')") as running:
        running.cli.send_signal(signal.SIGSTOP)
        wait_for(lambda: (running.cli.poll() is None) and _state(running.cli.pid) == "T", 2, "a stopped CLI")
        running.cli.send_signal(signal.SIGCONT)
        result = running.finish()
        assert (result.status, result.out) == (0, b"done\n")


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]
