"""`require`: files beside the script, in both profiles, and nothing else."""

from __future__ import annotations

import os
import subprocess

import pytest

from bxrun import Bioxen
from waiting import SLOW


def test_module_beside_the_script(bx_any: Bioxen, profile: str) -> None:
    bx_any.write("m.lua", "local M = {} function M.f() return 'f' end return M")
    script = bx_any.write("s.lua", "local m = require('m') print(m.f()) print(require('m') == m)")
    result = bx_any.run("--profile", profile, script)
    assert result.status == 0, result
    assert result.text.splitlines()[1] == "true"


def test_dots_and_init(bx_any: Bioxen, profile: str) -> None:
    bx_any.write("a/b/c.lua", "return 'a.b.c ' .. ...")
    bx_any.write("pkg/init.lua", "return {name = 'pkg', sub = require('pkg.sub')}")
    bx_any.write("pkg/sub.lua", "return 'sub'")
    script = bx_any.write("s.lua", "print((require('a.b.c'))) print(require('pkg').name, require('pkg').sub)")
    for directory in ("a", "a/b", "pkg"):
        bx_any.give(bx_any.work / directory)
    assert bx_any.run("--profile", profile, script).out == b"a.b.c a.b.c\npkg\tsub\n"


def test_no_value_is_true_and_false_is_kept(bx: Bioxen, profile: str) -> None:
    bx.write("none.lua", "")
    bx.write("no.lua", "return false")
    script = bx.write("s.lua", "print((require('none'))) print((require('no')))")
    assert bx.run("--profile", profile, script).out == b"true\nfalse\n"


def test_runs_once(bx: Bioxen, profile: str) -> None:
    bx.write("once.lua", "print('loading') return {}")
    script = bx.write("s.lua", "print(require('once') == require('once'))")
    assert bx.run("--profile", profile, script).out == b"loading\ntrue\n"


def test_error_inside_a_module(bx: Bioxen, profile: str) -> None:
    bx.write("bad.lua", "\nerror('in the module')")
    script = bx.write("s.lua", "print(pcall(require, 'bad')) require('bad')")
    result = bx.run("--profile", profile, script)
    assert result.status == 1 and "bad.lua:2: in the module" in result.errors


def test_syntax_error_inside_a_module(bx: Bioxen, profile: str) -> None:
    bx.write("bad.lua", "x = = 1")
    result = bx.run("--profile", profile, bx.write("s.lua", "require('bad')"))
    assert result.status == 1 and "bad.lua:1:" in result.errors and result.record["outcome"] == "error"


def test_missing_module_says_where_it_looked(bx: Bioxen, profile: str) -> None:
    result = bx.run("--profile", profile, bx.write("s.lua", "require('nowhere.at.all')"))
    assert result.status == 1 and "module 'nowhere.at.all' not found" in result.errors


def test_missing_without_a_script_directory(bx: Bioxen, profile: str) -> None:
    """-e and - have no directory of their own: the caller's current directory is not searched."""
    bx.write("m.lua", "return 'leak'")
    for args, text in ((["-e", "print(pcall(require, 'm'))"], None), (["-"], b"print(pcall(require, 'm'))")):
        result = bx.run("--profile", profile, *args, input=text)
        assert result.out.startswith(b"false") and b"leak" not in result.out


TRAVERSALS = ["../secret", "..secret", "...secret", "../../etc/passwd", "/etc/passwd", "{work}/secret", "./../secret", "sub/../../secret",
              "sub...secret", "link", "linkdir.secret", "linkabs", "fifo", "dev", "directory", "", ".", "..", "/", "a\\0b", "secret\\0", "..\\\\secret",
              "~/secret", "file:///etc/passwd", "m;/etc/passwd", "?", "m.lua", "%2e%2e/secret", "x" * 5000]


@pytest.mark.parametrize("name", TRAVERSALS, ids=lambda name: name[:20])
def test_never_outside(bx_any: Bioxen, profile: str, name: str) -> None:
    secret = bx_any.write("secret.lua", "print('ESCAPED')")
    bx_any.write("app/m.lua", "return 'm'")
    (bx_any.work / "app" / "directory.lua").mkdir()
    (bx_any.work / "app" / "sub").mkdir()
    (bx_any.work / "app" / "link.lua").symlink_to("../secret.lua")
    (bx_any.work / "app" / "linkabs.lua").symlink_to(secret)
    (bx_any.work / "app" / "linkdir").symlink_to("..")
    os.mkfifo(bx_any.work / "app" / "fifo.lua")
    (bx_any.work / "app" / "dev.lua").symlink_to("/dev/zero")
    bx_any.give(bx_any.work / "app")
    text = name.replace("{work}", str(bx_any.work))
    script = bx_any.write("app/s.lua", f'print(pcall(require, "{text}"))')
    result = bx_any.run("--profile", profile, "--timeout", "5s", script, deadline=10)
    assert b"ESCAPED" not in result.out, result
    if name == "fifo" and profile == "full":
        assert result.record["outcome"] in ("ok", "timeout")  # the VM itself waits for a writer: only it is hurt
    else:
        assert result.out.startswith(b"false"), result
        assert result.seconds < 3 * SLOW


def test_symlink_within_the_directory(bx_any: Bioxen, profile: str) -> None:
    bx_any.write("app/real.lua", "return 'real'")
    (bx_any.work / "app" / "alias.lua").symlink_to("real.lua")
    script = bx_any.write("app/s.lua", "print((require('alias')))")
    assert bx_any.run("--profile", profile, script).out == b"real\n"


def test_standard_libraries_by_require(bx: Bioxen) -> None:
    """Restricted: require must not bring back what was taken away."""
    code = """for _, n in ipairs{'io', 'debug', 'package', 'socket', 'socket.core', 'ffi', 'jit', 'bit32', 'lfs', 'posix', 'bioxen.vm'} do
        local ok, m = pcall(require, n) print(n, ok and type(m)) end
        for _, n in ipairs{'os', 'string', '_G'} do local ok, m = pcall(require, n)
        if ok and type(m) == 'table' then print(n, m.execute, m.popen, m.dump, m.dofile, m.remove, m.loadfile) end end"""
    result = bx.eval(code)
    for line in result.text.splitlines():
        name, *rest = line.split("\t")
        assert set(rest) <= {"false", "nil"} or (name == "debug" and rest == ["table"]), line


def test_binary_modules_are_refused(bx: Bioxen, profile: str) -> None:
    if not os.path.exists("/usr/bin/luac5.4"):
        pytest.skip("luac5.4 is missing")
    bx.write("bin.lua", b"")
    subprocess.run(["luac5.4", "-o", bx.work / "bin.lua", "-"], input=b"print('ESCAPED')", check=True)
    result = bx.run("--profile", profile, bx.write("s.lua", "print(pcall(require, 'bin'))"))
    assert result.out.startswith(b"false") and b"ESCAPED" not in result.out


def test_c_modules_are_not_loaded(bx: Bioxen) -> None:
    bx.write("native.so", b"\x7fELF" + b"\0" * 1000)
    code = """print(package.cpath, #package.searchers, package.loadlib)
        package.cpath = '/app/?.so' print(pcall(require, 'native'))
        if package.loadlib then print(package.loadlib('/app/native.so', '*')) end"""
    result = bx.run("--profile", "full", bx.write("s.lua", code))
    assert result.text.count("false\t") == 1 and "ELF" not in result.text and "dlopen" not in result.text
    assert "not found" in result.text or "dynamic libraries not enabled" in result.text


def test_huge_module(bx: Bioxen, profile: str) -> None:
    huge = bx.write("huge.lua", "")
    os.truncate(huge, 1 << 30)
    result = bx.run("--profile", profile, bx.write("s.lua", "print(pcall(require, 'huge'))"), deadline=10)
    assert result.out.startswith(b"false") or result.record["outcome"] in ("memory", "timeout")
    assert result.seconds < 3 * SLOW


def test_a_thousand_modules(bx: Bioxen, profile: str) -> None:
    for number in range(1000):
        bx.write(f"lib/m{number}.lua", f"return {number}")
    script = bx.write("s.lua", "local s = 0 for i = 0, 999 do s = s + require('lib.m' .. i) end print(s)")
    assert bx.run("--profile", profile, script).out == b"499500\n"


def test_endless_misses_do_not_hurt_the_host(bx: Bioxen) -> None:
    """A script that asks for modules as fast as it can is one client among others, and ends on time."""
    result = bx.run("--timeout", "700ms", bx.write("s.lua", "local i = 0 while true do i = i + 1 pcall(require, 'm' .. i) end"))
    assert result.record["outcome"] == "timeout" and result.seconds < 1.5 * SLOW


def test_module_changes_between_runs(bx: Bioxen, profile: str) -> None:
    script = bx.write("s.lua", "print((require('m')))")
    for value in ("one", "two"):
        bx.write("m.lua", f"return '{value}'")
        assert bx.run("--profile", profile, script).text.strip() == value


def test_package_path_of_full(bx: Bioxen) -> None:
    script = bx.write("s.lua", "print(package.path)")
    assert bx.run("--profile", "full", script).out == b"/app/?.lua;/app/?/init.lua\n"


def test_preload_and_searchers_of_full(bx: Bioxen) -> None:
    code = """package.preload.mine = function(n) return 'preloaded ' .. n end print((require('mine')))
        package.path = '/tmp/?.lua' local f = io.open('/tmp/t.lua', 'w') f:write('return "from tmp"') f:close() print((require('t')))"""
    assert bx.eval(code, "--profile", "full").out == b"preloaded mine\nfrom tmp\n"
