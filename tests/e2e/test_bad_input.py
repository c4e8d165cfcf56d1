"""Bad input: one clear message on stderr, the right exit status, nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from bxrun import USER_ID, Argument, Bioxen, Result
from waiting import SLOW


def refused(result: Result, status: int, *words: str) -> None:
    assert result.status == status, result
    assert result.out == b"", result
    message = result.errors
    assert message.startswith("bioxen: "), message
    for word in words:
        assert word.lower() in message.lower(), message
    assert len(message.splitlines()) <= 3, message
    assert "\x1b" not in message


USAGE: list[tuple[list[Argument], str]] = [
    (["--frobnicate", "-e", "print(1)"], "frobnicate"),
    (["--memroy", "64MiB", "-e", "print(1)"], "memroy"),
    (["-Z", "-e", "print(1)"], "Z"),
    ([], "script"),
    (["--memory"], "memory"),
    (["-e"], "e"),
    (["--profile", "strict", "-e", "1"], "strict"),
    (["--profile", "", "-e", "1"], "profile"),
    (["--network", "host", "-e", "1"], "host"),
    (["--env", "NOEQUALS", "-e", "x=1"], "NOEQUALS"),
    (["--env", "=v", "-e", "x=1"], "env"),
    (["--name", "", "-e", "x=1"], "name"),
    (["--name", "../x", "-e", "x=1"], "name"),
    (["--name", "a b", "-e", "x=1"], "name"),
    (["--name", "n" * 200, "-e", "x=1"], "name"),
    (["--name", "a\nb", "-e", "x=1"], "name"),
    (["--mount", "/tmp:/x", "-e", "x=1"], "full"),
]


@pytest.mark.parametrize("args, word", USAGE, ids=lambda value: str(value)[:40])
def test_wrong_usage(bx: Bioxen, args: list[Argument], word: str) -> None:
    refused(bx.run(*args, report=False), 2, word)


NO_SIZES = ["", "x", "-1", "64Mb2", "64 MiB", "1.5.5M", "0x10", "1e9", "64KB!", "99999999999999999999", "18446744073709551616", "17179869184GiB", "+5M", "MiB",
            "64MiBx", "nan", " 64M", "64M ", "\u0663M", "--"]


@pytest.mark.parametrize("flag, size", [(flag, size) for flag in ("--memory", "--output-limit") for size in NO_SIZES]
                         + [("--memory", "0"), ("--memory", "1"), ("--memory", "1K")])  # a tiny output limit is a sound wish
def test_wrong_sizes(bx: Bioxen, flag: str, size: str) -> None:
    refused(bx.run(flag, size, "-e", "print(1)", report=False), 2, flag.lstrip("-"))


@pytest.mark.parametrize("time", ["", "x", "-1s", "0", "0s", "5 s", "5sec", "1.2.3s", "1e3s", "99999999999999999999s", "s", "ms", "+5s", "0x5s",
                                  "inf", "nan", "-0.5s", "5s5", "9223372036854775807s", "18446744073709552s"])
@pytest.mark.parametrize("flag", ["--timeout", "--cpu-time"])
def test_wrong_times(bx: Bioxen, flag: str, time: str) -> None:
    refused(bx.run(flag, time, "-e", "print(1)", report=False), 2, flag.lstrip("-"))


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "1.5", "99999999999", "4294967296", "18446744073709551617", "1x", "0x10", " 1"])
def test_wrong_pids(bx: Bioxen, value: str) -> None:
    refused(bx.run("--pids", value, "-e", "print(1)", report=False), 2, "pids")


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "0.0", "nan", "inf", "1e9", "1,5", "0x1", "1.0.0", "99999999999999999999"])
def test_wrong_cpus(bx: Bioxen, value: str) -> None:
    refused(bx.run("--cpus", value, "-e", "print(1)", report=False), 2, "cpus")


@pytest.mark.parametrize("mount", ["", ":", "/", "/tmp", "/tmp:", ":/x", "/tmp:relative", "/tmp:/", "/tmp:/x:", "/tmp:/x:rx", "/tmp:/x:ro:ro", "/tmp:/a/../b",
                                   "/tmp:/" + "x" * 300, "/tmp:/../x", "/tmp://", "/tmp:/a//b"])
def test_wrong_mounts(bx: Bioxen, mount: str) -> None:
    result = bx.run("--profile", "full", "--mount", mount, "-e", "print(1)", report=False)
    if mount == "/tmp:/a//b" and result.status == 0:
        return  # cleaning the name up is as good as refusing it
    refused(result, 2, "mount")


def test_two_mounts_on_one_place(bx: Bioxen) -> None:
    result = bx.run("--profile", "full", "--mount", "/usr:/x", "--mount", "/etc:/x", "-e", "print(1)", report=False)
    assert result.status in (2, 125) and result.out == b""


def test_too_many_mounts(bx: Bioxen) -> None:
    mounts = [word for n in range(40) for word in ("--mount", f"/usr:/m{n}")]
    refused(bx.run("--profile", "full", *mounts, "-e", "print(1)", report=False), 2, "mount")


@pytest.mark.parametrize("target", ["/app", "/tmp", "/proc", "/dev", "/app/x", "/tmp/x"])
def test_mounts_over_what_the_vm_has(bx: Bioxen, target: str) -> None:
    """Either it works as any other place, or it is refused in words; never a half-made VM."""
    result = bx.run("--profile", "full", "--mount", f"/usr/share:{target}", "-e", "print(io.open ~= nil)", report=False)
    if result.status == 0:
        assert result.out == b"true\n"
    else:
        refused(result, result.status, "mount")
        assert result.status in (2, 125)


def test_verbs(bx: Bioxen) -> None:
    refused(bx.call("frobnicate"), 2, "frobnicate")
    assert bx.call().status == 2


def test_missing_script(bx_any: Bioxen) -> None:
    refused(bx_any.run("nowhere.lua"), 127, "nowhere.lua", "No such file")
    refused(bx_any.run("no/such/dir/x.lua"), 127, "no/such/dir/x.lua")


def test_empty_name(bx: Bioxen) -> None:
    refused(bx.run(""), 127)


def test_dangling_symlink(bx: Bioxen) -> None:
    (bx.work / "link.lua").symlink_to("gone.lua")
    refused(bx.run("link.lua"), 127, "link.lua")


def test_symlink_loop(bx: Bioxen) -> None:
    (bx.work / "loop.lua").symlink_to("loop.lua")
    refused(bx.run("loop.lua"), 126, "loop.lua")


def test_symlink_to_a_script_is_fine(bx_any: Bioxen, profile: str) -> None:
    bx_any.write("dir/real.lua", "print('real')")
    (bx_any.work / "link.lua").symlink_to("dir/real.lua")
    assert bx_any.run("--profile", profile, "link.lua").out == b"real\n"


def test_file_as_directory(bx: Bioxen) -> None:
    bx.write("file", "x")
    result = bx.run("file/x.lua")
    assert result.status in (126, 127)
    refused(result, result.status, "file/x.lua")


def test_directory(bx_any: Bioxen) -> None:
    refused(bx_any.run("."), 126, "directory")
    refused(bx_any.run("/tmp/"), 126, "directory")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full", "/dev/tty", "/dev/urandom"])
def test_device(bx: Bioxen, device: str) -> None:
    result = bx.run(device, deadline=5)
    assert result.status in ((126, 127) if device == "/dev/tty" else (126,))
    refused(result, result.status, device)


def test_fifo_does_not_hang(bx_any: Bioxen, profile: str) -> None:
    path = bx_any.work / "fifo.lua"
    os.mkfifo(path, 0o666)
    refused(bx_any.run("--profile", profile, "fifo.lua", deadline=5), 126, "fifo.lua")


def test_socket(bx: Bioxen) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bx.work / "s.lua"))
        refused(bx.run("s.lua", deadline=5), 126, "s.lua")


def test_process_substitution(bx: Bioxen) -> None:
    """`bioxen run <(cmd)` hands a pipe by name: said in words, or run; never a hang."""
    line = f"{bx.program} run <(echo 'print(1)')"
    done = subprocess.run(["bash", "-c", line], env=bx.environment(None), capture_output=True, timeout=10)
    assert (done.returncode, done.stdout) in ((0, b"1\n"), (126, b""))


def test_unreadable(bx_user: Bioxen, profile: str) -> None:
    bx_user.write("private.lua", "print('secret')", mode=0o000)
    refused(bx_user.run("--profile", profile, "private.lua"), 126, "Permission denied")


def test_file_of_somebody_else(bx_user: Bioxen, profile: str) -> None:
    if not bx_user.user:
        pytest.skip("needs root to make a file of root's")
    path = bx_user.work / "roots.lua"
    path.write_text("print('secret of root')")
    path.chmod(0o600)
    refused(bx_user.run("--profile", profile, "roots.lua"), 126, "Permission denied")


def test_unreachable_directory(bx_user: Bioxen) -> None:
    if not bx_user.user:
        pytest.skip("needs root to make a directory of root's")
    closed = bx_user.work / "closed"
    closed.mkdir(mode=0o700)
    (closed / "x.lua").write_text("print(1)")
    result = bx_user.run("closed/x.lua")
    assert result.status in (126, 127)
    refused(result, result.status, "Permission denied")


def test_one_gibibyte(bx_any: Bioxen, profile: str) -> None:
    path = bx_any.write("huge.lua", "")
    os.truncate(path, 1 << 30)
    result = bx_any.run("--profile", profile, "huge.lua", deadline=5)
    refused(result, 126, "huge.lua", "large")
    assert result.seconds < 2 * SLOW


def test_endless_stdin(bx: Bioxen) -> None:
    reader, writer = os.pipe()
    stop = threading.Event()

    def feed() -> None:
        chunk = b"-" * 65536
        try:
            while not stop.is_set():
                os.write(writer, chunk)
        except OSError:
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        running = bx.start("run", "-", stdin=reader)
        os.close(reader)
        result = running.finish(20)
    finally:
        stop.set()
        feeder.join()
        os.close(writer)
    refused(result, 126, "large")


def test_largest_script_that_is_taken(bx: Bioxen) -> None:
    bx.write("big.lua", b"--" + b"x" * (8 << 20) + b"\nprint('big')")
    assert bx.run("big.lua").out == b"big\n"


def test_script_larger_than_the_memory_limit(bx: Bioxen) -> None:
    """A comment of 20 MiB costs no memory; a string of 20 MiB does, and says so."""
    bx.write("c.lua", b"--[[" + b"x" * (20 << 20) + b"]] print('small')")
    assert bx.run("--memory", "8MiB", "c.lua").out == b"small\n"
    bx.write("s.lua", b"local s = [[" + b"x" * (20 << 20) + b"]] print('large')")
    result = bx.run("--memory", "8MiB", "s.lua")
    assert result.status in (1, 126, 137) and "memory" in result.errors and result.out == b""


BYTECODE = subprocess.run(["luac5.4", "-o", "/dev/stdout", "-"], input=b"print('bytecode')", capture_output=True).stdout \
    if os.path.exists("/usr/bin/luac5.4") else b"\x1bLuaT\x00\x19\x93\r\n\x1a\n"


@pytest.mark.parametrize("head", [b"", b"#!/usr/bin/env lua\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf#!x\n"])
def test_binary_chunk(bx: Bioxen, profile: str, head: bytes) -> None:
    bx.write("b.luac", head + BYTECODE)
    result = bx.run("--profile", profile, "b.luac")
    assert result.status == 126 and result.out == b""
    assert "binary" in result.errors or "unexpected symbol" in result.errors or "bytecode" in result.errors


def test_binary_chunk_on_stdin(bx: Bioxen, profile: str) -> None:
    result = bx.run("--profile", profile, "-", input=BYTECODE)
    assert result.status == 126 and result.out == b""


def test_garbage(bx: Bioxen) -> None:
    bx.write("g.lua", os.urandom(100000).replace(b"\x1b", b"x"))
    result = bx.run("g.lua")
    assert result.status == 126 and len(result.err) < 4096


def test_an_elf_file(bx: Bioxen) -> None:
    result = bx.run("/bin/true")
    assert result.status == 126 and result.out == b""


def test_too_large_environment_and_arguments(bx: Bioxen) -> None:
    result = bx.run("--env", "K=" + "v" * 120000, "-e", "print(#os.getenv('K'))")
    assert (result.status, result.out) == (0, b"120000\n")


def test_unprintable_names_in_messages(bx: Bioxen) -> None:
    result = bx.run(b"no\x1b[31msuch\xff\n.lua")
    assert result.status == 127 and b"\x1b" not in result.err
    assert len(result.err.splitlines()) == 1


def test_mount_that_does_not_exist(bx_any: Bioxen) -> None:
    refused(bx_any.run("--profile", "full", "--mount", "/no/such/place:/x", "-e", "print(1)", report=False), 125, "/no/such/place")


def test_mount_of_a_file(bx: Bioxen) -> None:
    """A single file may be mounted, or is refused in words."""
    path = bx.write("one.txt", "content")
    result = bx.run("--profile", "full", "--mount", f"{path}:/one.txt", "-e", "print(io.open('/one.txt'):read('a'))", report=False)
    if result.status == 0:
        assert result.out == b"content\n"
    else:
        refused(result, 125, "one.txt")


def test_mount_through_a_symlink_to_what_the_caller_may_not_read(bx_user: Bioxen) -> None:
    if not bx_user.user:
        pytest.skip("needs root to make a directory of root's")
    closed = bx_user.work / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "secret.txt").write_text("secret")
    closed.chmod(0o700)
    (bx_user.work / "link").symlink_to("closed/inner")
    result = bx_user.run("--profile", "full", "--mount", f"{bx_user.work}/link:/x", "-e",
                         "print(io.open('/x/secret.txt'):read('a'))", report=False)
    refused(result, 125, "Permission denied")


def test_mount_swapped_for_a_symlink_while_it_starts(bx_user: Bioxen) -> None:
    """A directory that turns into a symlink to a closed place and back, fast: never the closed one inside."""
    if not bx_user.user:
        pytest.skip("needs root to make a directory of root's")
    closed = bx_user.work / "closed"
    closed.mkdir()
    (closed / "word").write_text("SECRET")
    closed.chmod(0o700)
    mine = bx_user.work / "mine"
    mine.mkdir()
    (mine / "word").write_text("mine")
    os.chmod(mine, 0o755)
    (bx_user.work / "evil").symlink_to(closed)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(mine, bx_user.work / "mine.away")
            os.rename(bx_user.work / "evil", mine)
            os.rename(mine, bx_user.work / "evil")
            os.rename(bx_user.work / "mine.away", mine)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(40):
            code = "local f = io.open('/x/word') print(f and f:read('a'))"
            result = bx_user.run("--profile", "full", "--mount", f"{mine}:/x", "-e", code, report=False)
            assert b"SECRET" not in result.out
            assert result.status in (0, 125), result
    finally:
        stop.set()
        swapper.join()


def test_script_directory_that_others_may_not_enter(bx_user: Bioxen, profile: str) -> None:
    """A user's script in a private directory (0700) runs, in both profiles, and reads its neighbours."""
    private = bx_user.work / "private"
    private.mkdir(mode=0o700)
    script = bx_user.write("private/s.lua", "print((require('m')))", mode=0o600)
    bx_user.write("private/m.lua", "return 'module'", mode=0o600)
    bx_user.give(private)
    result = bx_user.run("--profile", profile, script)
    assert (result.status, result.out) == (0, b"module\n"), result


def test_owner_of_user_files(bx_user: Bioxen) -> None:
    assert not bx_user.user or Path(bx_user.work).stat().st_uid == USER_ID


@pytest.mark.parametrize("limit", ["RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_STACK"])
def test_a_caller_with_tight_limits(bx_user: Bioxen, limit: str) -> None:
    if limit == "RLIMIT_AS" and "BIOXEN_SANITIZE" in os.environ:
        pytest.skip("the sanitizers' run-time library needs terabytes of address space")
    """Where the host has too little it says so by 125; it never hangs or crashes."""
    import resource
    for value in (3, 8, 1 << 20):
        def tighten() -> None:
            hard = resource.getrlimit(getattr(resource, limit))[1]
            resource.setrlimit(getattr(resource, limit), (value if hard < 0 else min(value, hard), hard))
        if limit == "RLIMIT_AS" and value < 1 << 20 or limit == "RLIMIT_STACK" and value < 1 << 20:
            continue
        env = bx_user.environment(None)
        line = bx_user.command("run", "-e", "print(1)")
        if limit in ("RLIMIT_AS", "RLIMIT_NPROC"):  # setpriv itself needs some: set it by prlimit after the switch
            flag = {"RLIMIT_AS": "--as", "RLIMIT_NPROC": "--nproc"}[limit]
            at = line.index("--") + 1 if bx_user.user else 0
            line[at:at] = ["prlimit", f"{flag}={value if limit != 'RLIMIT_AS' else 64 << 20}"]
            done = subprocess.run(line, env=env, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
        else:
            done = subprocess.run(line, env=env, capture_output=True, timeout=20, stdin=subprocess.DEVNULL, preexec_fn=tighten)
        if done.returncode == 0:
            assert done.stdout == b"1\n"
        else:
            assert done.returncode in (125, 126, 127, 1), (limit, value, done)
            assert done.stderr.strip(), (limit, value)
