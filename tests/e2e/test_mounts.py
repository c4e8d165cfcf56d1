"""Profile full: /app, /tmp and --mount, and the walls around them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bxrun import USER_ID, Bioxen
from waiting import SLOW

FULL = ("--profile", "full")


def share(bx: Bioxen, name: str = "share", mode: int = 0o755) -> Path:
    path = bx.work / name
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    bx.give(path)
    bx.write(f"{name}/in.txt", "from the host")
    return path


def test_app_is_the_scripts_directory_read_only(bx_any: Bioxen) -> None:
    bx_any.write("data.txt", "beside")
    script = bx_any.write("s.lua", """print(io.open('/app/data.txt'):read('a'))
        print(io.open('/app/new', 'w')) print(os.remove('/app/data.txt')) print(os.rename('/app/data.txt', '/app/x'))""")
    result = bx_any.run(*FULL, script)
    lines = result.text.splitlines()
    assert lines[0] == "beside"
    assert all("Read-only file system" in line for line in lines[1:]), lines
    assert (bx_any.work / "data.txt").read_text() == "beside"


def test_no_app_without_a_script_file(bx: Bioxen) -> None:
    """-e and - have no directory: nothing of the caller's current directory is visible."""
    bx.write("data.txt", "beside")
    for args, text in ((["-e", "print(io.open('/app/data.txt'))"], None), (["-"], b"print(io.open('/app/data.txt'))")):
        assert bx.run(*FULL, *args, input=text).out.startswith(b"nil")


def test_restricted_has_no_mounts(bx: Bioxen) -> None:
    result = bx.run("--mount", f"{bx.work}:/x", "-e", "print(1)", report=False)
    assert result.status == 2 and "full" in result.errors


def test_read_only_is_the_default(bx_any: Bioxen) -> None:
    place = share(bx_any)
    code = "print(io.open('/x/in.txt'):read('a')) print(io.open('/x/out.txt', 'w'))"
    for suffix in ("", ":ro"):
        result = bx_any.eval(code, *FULL, "--mount", f"{place}:/x{suffix}")
        assert result.out == b"from the host\nnil\t/x/out.txt: Read-only file system\t30\n"


def test_read_write_belongs_to_the_caller(bx_any: Bioxen) -> None:
    place = share(bx_any)
    code = """local f = assert(io.open('/x/out.txt', 'w')) f:write('from the VM') f:close()
        assert(os.rename('/x/in.txt', '/x/renamed.txt')) print('done')"""
    result = bx_any.eval(code, *FULL, "--mount", f"{place}:/x:rw")
    if result.status == 125 and "idmap" in result.errors.lower():
        pytest.skip(f"the file system of {place} has no idmapped mounts")
    assert result.out == b"done\n", result
    written = place / "out.txt"
    assert written.read_text() == "from the VM" and (place / "renamed.txt").exists()
    assert written.stat().st_uid == (USER_ID if bx_any.user else os.getuid())


def test_private_files_of_the_caller_are_readable(bx_any: Bioxen) -> None:
    place = share(bx_any, mode=0o700)
    bx_any.write("share/private.txt", "0600", mode=0o600)
    result = bx_any.eval("print(io.open('/x/private.txt'):read('a'))", *FULL, "--mount", f"{place}:/x")
    assert result.out == b"0600\n", result


def test_relative_source(bx: Bioxen) -> None:
    share(bx)
    assert bx.eval("print(io.open('/x/in.txt'):read('a'))", *FULL, "--mount", "share:/x").out == b"from the host\n"


def test_source_through_a_symlink_of_the_caller(bx_any: Bioxen) -> None:
    share(bx_any)
    (bx_any.work / "link").symlink_to("share")
    result = bx_any.eval("print(io.open('/x/in.txt'):read('a'))", *FULL, "--mount", f"{bx_any.work}/link:/x")
    assert result.out == b"from the host\n"


def test_deep_target_and_several_mounts(bx_any: Bioxen) -> None:
    one, two = share(bx_any, "one"), share(bx_any, "two")
    code = "print(io.open('/a/b/c/in.txt'):read('a'), io.open('/d/in.txt'):read('a'))"
    result = bx_any.eval(code, *FULL, "--mount", f"{one}:/a/b/c", "--mount", f"{two}:/d:ro")
    assert result.out == b"from the host\tfrom the host\n"


def test_nested_mounts(bx: Bioxen) -> None:
    outer, inner = share(bx, "outer"), share(bx, "inner")
    (outer / "sub").mkdir()
    code = "print(io.open('/x/in.txt'):read('a'), io.open('/x/sub/in.txt'))"
    result = bx.eval(code, *FULL, "--mount", f"{outer}:/x", "--mount", f"{inner}:/x/sub", report=False)
    assert result.status in (0, 2, 125)
    if result.status == 0:
        assert b"file (" in result.out


def test_symlinks_inside_point_into_the_vm(bx_any: Bioxen) -> None:
    """A symlink in a mounted directory is followed in the VM's own tree, never in the host's."""
    place = share(bx_any)
    secret = bx_any.write("secret.txt", "outside")
    (place / "absolute").symlink_to(secret)
    (place / "relative").symlink_to("../secret.txt")
    (place / "root").symlink_to("/")
    (place / "passwd").symlink_to("/etc/passwd")
    code = "for _, n in ipairs{'absolute', 'relative', 'passwd', 'root/etc/passwd', '../secret.txt'} do print((io.open('/x/' .. n))) end"
    assert bx_any.eval(code, *FULL, "--mount", f"{place}:/x").out == b"nil\n" * 5


def test_device_nodes_and_setuid_in_a_mount_are_dead(bx: Bioxen) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to make a device node")
    place = share(bx)
    os.mknod(place / "null", 0o666 | 0o020000, os.makedev(1, 3))
    result = bx.eval("print(io.open('/x/null'))", *FULL, "--mount", f"{place}:/x")
    assert b"Permission denied" in result.out


def test_fifo_in_a_mount_only_hurts_the_vm(bx: Bioxen) -> None:
    place = share(bx)
    os.mkfifo(place / "fifo", 0o666)
    result = bx.eval("io.open('/x/fifo')", *FULL, "--mount", f"{place}:/x", "--timeout", "300ms")
    assert result.record["outcome"] == "timeout" and result.seconds < 2 * SLOW


def test_mount_of_the_whole_root_is_read_only(bx_any: Bioxen) -> None:
    """The user may ask for it; the kernel walls stay."""
    result = bx_any.eval("print((io.open('/host/etc/hostname'))) print(io.open('/host/tmp/x-bioxen', 'w'))", *FULL, "--mount", "/:/host")
    assert result.status in (0, 125)
    assert not os.path.exists("/tmp/x-bioxen")


def test_mounting_proc_shows_no_processes_to_signal(bx: Bioxen) -> None:
    result = bx.eval("local f = io.open('/p/sysrq-trigger', 'w') print(f)", *FULL, "--mount", "/proc:/p", report=False)
    assert result.status in (0, 125) and b"file (" not in result.out


def test_submounts_are_not_taken_along_writable(bx: Bioxen) -> None:
    """A read-only mount of / must not carry the host's writable /dev/shm with it."""
    code = "local f = io.open('/h/shm/bx-escape', 'w') print(f)"
    result = bx.eval(code, *FULL, "--mount", "/dev:/h", report=False)
    assert b"file (" not in result.out and not os.path.exists("/dev/shm/bx-escape")


def test_tmp_is_private_small_and_empty(bx_any: Bioxen) -> None:
    code = """local f = io.open('/tmp/mark', 'r') print(f)
        local g = assert(io.open('/tmp/mark', 'w')) g:write('x') g:close()
        print(#(io.open('/tmp/mark'):read('a')), os.tmpname() ~= nil, io.tmpfile() ~= nil)"""
    for _ in range(2):
        lines = bx_any.eval(code, *FULL).text.splitlines()
        assert lines[0].startswith("nil") and lines[1] == "1\ttrue\ttrue"


def test_tmp_has_an_inode_limit(bx_any: Bioxen) -> None:
    code = "local n = 0 for i = 1, 20000 do local f = io.open('/tmp/' .. i, 'w') if not f then break end f:close() n = i end print(n)"
    result = bx_any.eval(code, *FULL)
    assert int(result.out) <= 4096


def test_tmp_works_as_a_file_system(bx_any: Bioxen) -> None:
    code = """assert(io.open('/tmp/a', 'w')):write(('line\\n'):rep(1000)):close()
        local n = 0 for l in io.lines('/tmp/a') do n = n + 1 end
        assert(os.rename('/tmp/a', '/tmp/b')) assert(not io.open('/tmp/a'))
        local f = io.open('/tmp/b', 'r+') f:seek('end', -5) f:write('LINE') f:seek('set', 4990) print(n, f:read('l'), f:read('l'))
        f:close() assert(os.remove('/tmp/b')) print(io.open('/tmp/b'))"""
    assert bx_any.eval(code, *FULL).out == b"1000\tline\tLINE\nnil\t/tmp/b: No such file or directory\t2\n"


def test_nothing_else_is_there(bx_any: Bioxen) -> None:
    code = """for _, p in ipairs{'/', '/proc', '/proc/self/status', '/sys', '/dev', '/dev/null', '/etc/passwd', '/bin/sh', '/usr', '/lib',
        '/root', '/home', '/var', '/run', '/old', '/oldroot', '/.', '/..', '/app'} do
        local f = io.open(p) local ok = f and f:read(1) print(p, ok) end"""
    result = bx_any.eval(code, *FULL)
    assert all(line.endswith("\tnil") for line in result.text.splitlines()), result.text


def test_paths_of_the_caller_do_not_exist(bx_any: Bioxen) -> None:
    script = bx_any.write("s.lua", f"print(io.open('{bx_any.work}/s.lua'), io.open('s.lua') and 'relative')")
    result = bx_any.run(*FULL, script)
    assert result.out.startswith(b"nil")
