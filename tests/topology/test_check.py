"""bioxen check: what it accepts, how it says what it does not, and what it never does."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bxrun import Bioxen
from waiting import SLOW

GOOD = """\
version: 1
name: chat
defaults: {memory: 32MiB, restart: on-failure}
vms:
  echo:   {script: echo.lua, server: 8080}
  caller: {script: caller.lua, client: echo, replicas: 3, depends_on: [echo]}
  alice:  {script: peer.lua, p2p: {port: 9000, peers: [bob]}}
  bob:    {script: peer.lua, p2p: {port: 9000, peers: [alice]}}
wires:
  - {from: caller, to: echo, port: 8080, delay: 20ms, jitter: 5ms, loss: 1%, rate: 10mbit}
"""


def good(bx: Bioxen, text: str = GOOD) -> Path:
    for name in ("echo", "caller", "peer"):
        bx.write(f"{name}.lua", "#!/usr/bin/env lua5.4\nprint(1)\n")
    return bx.write("chat.yaml", text)


def faults(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.decode().splitlines()]


def check(bx: Bioxen, text: str, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    result = bx.call("check", "--json", bx.write("t.yaml", text), **more)
    return result.status, faults(result)


def test_the_example_of_the_contract(bx_any: Bioxen) -> None:
    path = good(bx_any)
    result = bx_any.call("check", path)
    assert (result.status, result.err) == (0, b""), result
    assert result.text == f"{path}: ok: 6 VMs, 5 connections\n"
    assert bx_any.call("check", path, "--json").out == b""


def test_every_fault_is_told_at_once(bx: Bioxen) -> None:
    text = ("version: 2\nnmae: x\nvms:\n  a: {script: none.lua, memory: 1}\n"
            "  b: {code: 'x =', client: c, restart: maybe}\n")
    status, found = check(bx, text)
    assert status == 2
    assert [(f["line"], f["column"]) for f in found] == [(1, 10), (2, 1), (4, 15), (4, 33), (5, 13), (5, 28), (5, 40)]


def test_the_form_of_a_message(bx: Bioxen) -> None:
    path = bx.write("lab.yaml", "version: 1\nvms:\n  web:\n    code: return\n    retsart: always\n")
    result = bx.call("check", path)
    assert result.status == 2
    assert result.errors == (f"{path}:5:5: error: unknown key 'retsart' in vms.web\n"
                             "    5 |     retsart: always\n"
                             "      |     ^~~~~~~ did you mean 'restart'?\n"
                             f"bioxen: {path}: 1 error\n")


def test_a_script_shows_its_own_line(bx: Bioxen) -> None:
    bx.write("a.lua", "local a = 1\nlocal b = = 2\n")
    path = bx.write("t.yaml", "version: 1\nvms:\n  a: {script: a.lua}\n  b: {script: a.lua}\n")
    result = bx.call("check", path)
    assert result.errors == (f"{path}:3:15: error: vms.a: a.lua:2: unexpected symbol near '='\n"
                             "    3 |   a: {script: a.lua}\n"
                             "      |               ^~~~~\n"
                             "a.lua:\n"
                             "    2 | local b = = 2\n"
                             f"bioxen: {path}: 1 error\n")
    found = faults(bx.call("check", "--json", path))
    assert [(f["script"], f["script_line"]) for f in found] == [("a.lua", 2)]


def test_scripts_are_compiled_and_not_run(bx_any: Bioxen) -> None:
    bx_any.write("loop.lua", "\xef\xbb\xbf#!shebang\nwhile true do end\n".encode("latin-1"))
    bx_any.write("exit.lua", "os.exit(9)\n")
    bx_any.write("sub/error.lua", "error('must not run')\n")
    status, found = check(bx_any, "version: 1\nvms:\n  a: {script: loop.lua}\n  b: {script: exit.lua}\n"
                                  "  c: {script: sub/error.lua, health: {check: 'error(1)'}}\n"
                                  "  d: {code: 'local function f() end while true do f() end'}\n")
    assert (status, found) == (0, [])


def test_a_health_check_is_an_expression_or_a_chunk(bx: Bioxen) -> None:
    status, found = check(bx, "version: 1\nvms:\n  a: {code: return, health: {check: 'x > 1 and y'}}\n"
                              "  b: {code: return, health: {check: 'if x then return y end'}}\n"
                              "  c: {code: return, health: {check: 'x >'}}\n")
    assert status == 2 and [f["line"] for f in found] == [5]


def test_one_script_that_does_not_end_compiling_is_one_fault(bx: Bioxen) -> None:
    bx.write("huge.lua", "local t = {" + "{{},{},{}}," * 3_000_000 + "}")
    bx.write("bad.lua", "x =")
    status, found = check(bx, "version: 1\nvms:\n  a: {script: huge.lua}\n  b: {script: bad.lua}\n", deadline=90)
    assert status == 2
    assert [f["line"] for f in found if "bad.lua" in f["message"]] == [4], "the next script is looked at all the same"
    assert [f["line"] for f in found if "huge.lua" in f["message"]] in ([], [3])


def test_many_scripts_take_one_vm(bx: Bioxen) -> None:
    for i in range(300):
        bx.write(f"s{i}.lua", f"local x = {i}\n" if i != 250 else "local = 1\n")
    text = "version: 1\nvms:\n" + "".join(f"  v{i}: {{script: s{i}.lua}}\n" for i in range(300))
    path = bx.write("t.yaml", text)
    result = bx.call("check", "--json", path)
    assert [f["line"] for f in faults(result)] == [253]
    assert result.seconds < 5 * SLOW


def test_the_same_code_is_compiled_once_and_told_of_everywhere(bx: Bioxen) -> None:
    text = "version: 1\nvms:\n" + "".join(f"  v{i}: {{code: return}}\n" for i in range(5000))
    begin = time.monotonic()
    assert check(bx, text) == (0, [])
    assert time.monotonic() - begin < 3 * SLOW
    status, found = check(bx, "version: 1\nvms:\n  a: {code: 'x ='}\n  b: {code: return}\n  c: {code: 'x ='}\n")
    assert (status, [f["line"] for f in found]) == (2, [3, 5])


def test_warnings_are_no_errors(bx: Bioxen) -> None:
    path = bx.write("t.yaml", "version: 1\nvms:\n  a:\n    code: return\n    restart: {policy: always, delay: 30s, max: 10, within: 1m}\n")
    result = bx.call("check", path)
    assert result.status == 0
    assert f"{path}:5:48: warning: vms.a: the limit of 10 restarts within 1m is never met" in result.errors
    assert result.text.endswith("ok: 1 VM, 0 connections\n")


def test_limits_of_restarts_that_can_be_met_have_no_warning(bx: Bioxen) -> None:
    for restart in ("always", "{policy: always}", "{policy: always, max: 6, within: 10s}", "{policy: no, delay: 30s, max: 99}"):
        status, found = check(bx, f"version: 1\nvms:\n  a:\n    code: return\n    restart: {restart}\n")
        assert (status, found) == (0, []), restart


@pytest.mark.parametrize("keys", [
    "cpu-time: 1s", "output-limit: 1K", "timeout: none", "memory: 2MiB", "memory: 2097152", "args: x", "args: [1, true, 1.5, no]",
    "env: {A: 1, B: '', C: yes}", "restart: no", "restart: \"no\"", "x-mine: {any: [thing, {at: all}]}", "publish: '8080:80'",
    "publish: ['[::1]:8080:80', 127.0.0.1:9:9]", "server: [80, 80/udp]", "profile: full, mount: '/a:b:/c:rw'",
    "profile: full, mount: [/a:/app]", "network: fabric", "replicas: 2, p2p: {port: 1, peers: a}", "report: out.json",
    "watchdog: 1m30s", "depends_on: {}", "health: {check: 'true', start_period: 0s}", "\"memory\": 4MiB", "memory: 4M",
])
def test_what_is_allowed(bx: Bioxen, keys: str) -> None:
    assert check(bx, f"version: 1\nvms:\n  a: {{code: return, {keys}}}\n") == (0, [])


def test_own_keys_everywhere(bx: Bioxen) -> None:
    assert check(bx, "version: 1\nx-a: ${NOT_LOOKED_AT\ndefaults: {x-b: 1}\nvms: {a: {code: return, x-c: 1, health: {check: 'true', x-d: 1}}}\n"
                     "groups: {g: {vms: [a], x-e: 1}}\n") == (0, [])


def test_variables(bx: Bioxen) -> None:
    text = ("version: 1\nname: ${BIOXEN_NAME}\nvms:\n  a:\n    memory: ${BIOXEN_MEMORY:-16MiB}\n    cpus: ${BIOXEN_EMPTY:-2}\n"
            "    args: [\"$$HOME\", \"${BIOXEN_NAME}-${BIOXEN_NAME}\", \"100$\", \"$x\"]\n"
            "    code: |\n      assert(\"${BIOXEN_NAME}\" == \"lab\" and \"$$\" == (\"x\"):rep(1, \"y\"))\n")
    assert check(bx, text, env={"BIOXEN_NAME": "lab", "BIOXEN_EMPTY": ""}) == (0, [])
    status, found = check(bx, text, env={"BIOXEN_NAME": "la b", "BIOXEN_MEMORY": "1"})
    assert status == 2 and [(f["line"], f["column"]) for f in found] == [(2, 7), (5, 13)]


@pytest.mark.skipif("BIOXEN_SANITIZE" in os.environ, reason="the sanitizers' search for leaks does not work under strace")
def test_only_named_variables_are_sent(bx: Bioxen) -> None:
    path = bx.write("t.yaml", "version: 1\nvms: {a: {code: return, args: ['${BIOXEN_SENT}', '${BIOXEN_SEC}']}}\n")
    trace = bx.work / "trace"
    done = subprocess.run(["strace", "-o", trace, "-e", "trace=write,writev,pwrite64,sendmsg", "-s", "100000", *bx.command("check", path)],
                          env=bx.environment({"BIOXEN_SENT": "aye-aye", "BIOXEN_SEC": "", "BIOXEN_SECRET": "hunter2"}),
                          cwd=bx.work, capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 0, done.stderr
    text = trace.read_text()
    assert "BIOXEN_SENT=aye-aye" in text and "BIOXEN_SEC=" in text
    assert "hunter2" not in text and "BIOXEN_SECRET" not in text


def test_standard_input(bx: Bioxen) -> None:
    good(bx)
    result = bx.call("check", "-", input=GOOD.encode())
    assert (result.status, result.text) == (0, "stdin: ok: 6 VMs, 5 connections\n"), result


def test_paths_are_relative_to_the_file(bx: Bioxen) -> None:
    bx.write("deep/er/a.lua", "return")
    bx.write("deep/t.yaml", "version: 1\nvms: {a: {script: er/a.lua}, b: {script: ./er/../er/a.lua}}\n")
    assert bx.call("check", "deep/t.yaml").status == 0
    assert bx.call("check", bx.work / "deep/t.yaml").status == 0


@pytest.mark.parametrize("name, text", [("none.yaml", "there is no such file"), (".", "is a directory"), ("/dev/zero", "is not a regular file")])
def test_files_that_cannot_be_read(bx: Bioxen, name: str, text: str) -> None:
    result = bx.call("check", name)
    assert result.status == 2 and text in result.errors and result.out == b""


def test_a_fifo_does_not_hold_it_up(bx: Bioxen) -> None:
    os.mkfifo(bx.work / "pipe.lua")
    os.chown(bx.work / "pipe.lua", bx.work.stat().st_uid, -1)
    assert bx.call("check", "pipe.lua").status == 2
    status, found = check(bx, "version: 1\nvms: {a: {script: pipe.lua}}\n")
    assert status == 2 and "is not a regular file" in found[0]["message"]


@pytest.mark.parametrize("arguments", [[], ["a.yaml", "b.yaml"], ["--jsn", "a.yaml"], ["a.yaml", "--jsn"], ["--json=1", "a"]])
def test_wrong_usage(bx: Bioxen, arguments: list[str]) -> None:
    result = bx.call("check", *arguments)
    assert result.status == 2 and result.errors.startswith("bioxen: check: ") and result.out == b""


def test_unreadable_scripts(bx_user: Bioxen) -> None:
    path = bx_user.write("secret.lua", "return", mode=0o000)
    status, found = check(bx_user, "version: 1\nvms: {a: {script: secret.lua}}\n")
    assert status == 2 and "permission denied" in found[0]["message"]
    path.chmod(0o644)


def run_on_terminal(bx: Bioxen, path: Path, env: dict[str, str]) -> str:
    master, slave = pty.openpty()
    child = subprocess.Popen(bx.command("check", path), stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                             env={**bx.environment(None), **env}, cwd=bx.work)
    os.close(slave)
    out = bytearray()
    try:
        while chunk := os.read(master, 65536):
            out += chunk
    except OSError:
        pass
    assert child.wait(20 * SLOW) == 2
    os.close(master)
    return out.decode()


def test_colour_only_on_a_terminal(bx: Bioxen) -> None:
    path = bx.write("t.yaml", "version: 2\nvms: {a: {code: return}}\n")
    assert "\x1b[1;31merror:" in run_on_terminal(bx, path, {"NO_COLOR": ""})
    assert "\x1b" not in run_on_terminal(bx, path, {"NO_COLOR": "1"})


def test_nothing_of_a_file_drives_a_terminal(bx: Bioxen) -> None:
    bx.write("t.lua", "x = \x1b[31m\x07 'a\n")
    path = bx.write("t.yaml", "version: 1\nvms: {a: {script: t.lua, \"\\e[2Jx\": 1}}\n")
    result = bx.call("check", path)
    assert result.status == 2 and b"\x1b" not in result.err and b"\x07" not in result.err
    assert len(faults(bx.call("check", "--json", path))) == 2


def test_long_lines_are_shown_around_the_place(bx: Bioxen) -> None:
    path = bx.write("t.yaml", "version: 1\nvms: {a: {code: return, args: [" + "word, " * 500 + "{a: b}]}}\n")
    result = bx.call("check", path)
    quoted, caret = result.errors.splitlines()[1:3]
    assert len(quoted) < 160 and quoted[caret.index("^")] == "{"


def test_many_faults_are_counted(bx: Bioxen) -> None:
    text = "version: 1\nvms: {a: {code: return}}\n" + "".join(f"bad{i}: 1\n" for i in range(3000))
    result = bx.call("check", "--json", bx.write("t.yaml", text))
    assert result.status == 2 and len(faults(result)) == 500
    result = bx.call("check", "t.yaml")
    assert "and 2500 more" in result.errors and "3000 errors" in result.errors


@pytest.mark.parametrize("text", [
    "a: " + "[" * 500_000, "- " * 500_000, "? " * 500_000, "{" * 1_000_000, "[" * 15 + "a," * 200_000,
    "a: &a [" + "*a," * 300_000, "".join(f"k{i}: 1\n" for i in range(80_000)), "\"" + "\\x41" * 250_000,
    "version: 1\nvms:\n" + "".join(f"  v{i}: {{code: return, depends_on: [v{i + 1}]}}\n" for i in range(9_000)),
    "version: 1\nvms:\n" + "".join(f"  v{i}: {{code: return, client: nobody{i}}}\n" for i in range(9_000)),
    "version: 1\ndefaults: {env: {" + ", ".join(f"v{i}: {i}" for i in range(30_000)) + "}}\nvms:\n" +
    "".join(f"  v{i}: {{code: return, env: {{a: b}}}}\n" for i in range(9_000)),
    "version: 1\nvms: {a: {code: return, args: [" + "'${BIOXEN_LONG}'," * 50_000 + "x]}}\n",
    "#" + "x" * 1_000_000, "a: |\n" + " x\n" * 300_000, "a:" + " " * 1_000_000 + "b", "\n" * 1_000_000,
], ids=lambda text: repr(text[:20]))
def test_hostile_files_end_soon(bx: Bioxen, text: str) -> None:
    result = bx.call("check", "--json", bx.write("t.yaml", text), env={"BIOXEN_LONG": "x" * 100_000})
    assert result.status in (2, 125), result


def test_ten_thousand_vms(bx: Bioxen) -> None:
    text = "version: 1\nvms:\n  hub: {code: return, server: 80}\n  leaf: {code: return, client: hub, replicas: 9999}\n"
    result = bx.call("check", bx.write("t.yaml", text))
    assert (result.status, result.text) == (0, f"{bx.work}/t.yaml: ok: 10000 VMs, 9999 connections\n"), result
