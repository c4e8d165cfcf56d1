"""`bioxen run`: what a script sees, what comes out, and the exit status."""

from __future__ import annotations

import pytest

from bxrun import Bioxen


def test_prints_and_ends_with_zero(bx_any: Bioxen) -> None:
    result = bx_any.eval("print(math.sqrt(16))")
    assert (result.status, result.out, result.err) == (0, b"4.0\n", b"")


def test_script_from_a_file(bx_any: Bioxen, profile: str) -> None:
    script = bx_any.write("hello.lua", 'print("hello", ...)')
    result = bx_any.run("--profile", profile, script, "a", "b c")
    assert (result.status, result.out) == (0, b"hello\ta\tb c\n")


def test_script_by_relative_path_and_other_directory(bx: Bioxen) -> None:
    bx.write("sub/x.lua", 'print(arg[0])')
    assert bx.run("sub/x.lua").out == b"sub/x.lua\n"


def test_script_from_stdin(bx_any: Bioxen, profile: str) -> None:
    result = bx_any.run("--profile", profile, "-", "one", input=b"print('in', ..., #arg, arg[1])")
    assert (result.status, result.out) == (0, b"in\tone\t1\tone\n")


def test_stdin_is_not_the_scripts(bx: Bioxen) -> None:
    """The script's own standard input is empty whatever the caller's holds."""
    result = bx.eval('print(#io.read("a"), io.read("l"))', "--profile", "full", input=b"secret of the caller")
    assert result.out == b"0\tnil\n"


def test_arguments_in_arg_and_varargs(bx: Bioxen, profile: str) -> None:
    code = 'print(select("#", ...), #arg, arg[0], arg[1], arg[2], arg[-1], ...)'
    script = bx.write("args.lua", code)
    result = bx.run("--profile", profile, script, "x", "")
    assert result.out.split(b"\n")[0].split(b"\t")[:2] == [b"2", b"2"]
    assert result.out == f"2\t2\t{script}\tx\t\tnil\tx\t\n".encode()


def test_arguments_with_e(bx: Bioxen) -> None:
    result = bx.run("-e", "print(#arg, ...)", "a", "-b", "--", "c")
    assert result.out == b"4\ta\t-b\t--\tc\n"


def test_options_end_at_the_script(bx: Bioxen) -> None:
    script = bx.write("s.lua", "print(...)")
    assert bx.run(script, "--memory", "1", "-e", "--help").out == b"--memory\t1\t-e\t--help\n"


def test_double_dash_ends_options(bx: Bioxen) -> None:
    bx.write("-odd.lua", "print('odd', ...)")
    assert bx.run("--", "-odd.lua", "--x").out == b"odd\t--x\n"


def test_arguments_are_bytes(bx: Bioxen) -> None:
    result = bx.run("-e", "for i = 1, #arg do print(#arg[i], arg[i]:byte(1, -1)) end", b"\xff\xfe", "é", "\n")
    assert result.out == b"2\t255\t254\n2\t195\t169\n1\t10\n"


def test_ten_thousand_arguments(bx: Bioxen, profile: str) -> None:
    result = bx.run("--profile", profile, "-e", "print(#arg, select('#', ...), arg[10000])", *map(str, range(1, 10001)))
    assert (result.status, result.out) == (0, b"10000\t10000\t10000\n")


def test_environment_is_only_what_was_given(bx_any: Bioxen, profile: str) -> None:
    code = 'print(os.getenv("K"), os.getenv("EMPTY"), os.getenv("HOME"), os.getenv("PATH"), os.getenv("LEAK"))'
    result = bx_any.eval(code, "--profile", profile, "--env", "K=a=b", "--env", "EMPTY=", env={"LEAK": "1"})
    assert result.out == b"a=b\t\tnil\tnil\tnil\n"


def test_last_env_wins(bx: Bioxen) -> None:
    assert bx.eval('print(os.getenv("K"))', "--env", "K=1", "--env", "K=2").out == b"2\n"


@pytest.mark.parametrize("code, status", [
    ("", 0), ("return 5", 0), ("os.exit()", 0), ("os.exit(true)", 0), ("os.exit(0)", 0),
    ("os.exit(false)", 1), ("os.exit(1)", 1), ("os.exit(7)", 7), ("os.exit(124)", 124), ("os.exit(255)", 255),
    ("os.exit(256)", 0), ("os.exit(-1)", 255), ("os.exit(3, true)", 3),
    ("pcall(os.exit, 4)", 4), ("coroutine.wrap(function() os.exit(6) end)()", 6),
    ("setmetatable({}, {__gc = function() os.exit(9) end}) collectgarbage()", 9),
    ("error('boom')", 1), ("error()", 1), ("error({})", 1), ("local x = nil + 1", 1),
    ("this is not Lua", 126), ("goto nowhere", 126),
])
def test_exit_status(bx: Bioxen, profile: str, code: str, status: int) -> None:
    result = bx.eval(code, "--profile", profile)
    assert result.status == status
    assert result.record["exit_code"] == status


def test_lua_error_prints_like_lua(bx_any: Bioxen, profile: str) -> None:
    script = bx_any.write("script.lua", "local function f()\n  error('boom')\nend\nf()\n")
    result = bx_any.run("--profile", profile, "script.lua")
    lines = result.errors.splitlines()
    assert lines[0] == "bioxen: script.lua:2: boom"
    assert lines[1] == "stack traceback:"
    assert any("script.lua:2: in " in line and "'f'" in line for line in lines)
    assert any("script.lua:4: in main chunk" in line for line in lines)
    assert result.status == 1 and script.exists() and result.out == b""


@pytest.mark.parametrize("code, message", [
    ("error('x', 0)", "bioxen: x"),
    ("error(setmetatable({}, {__tostring = function() return 'mine' end}))", "bioxen: mine"),
    ("error({})", "bioxen: (error object is a table value)"),
    ("error(nil)", "bioxen: (error object is a nil value)"),
    ("error(42)", "bioxen: 42"),
    ("error(true)", "bioxen: (error object is a boolean value)"),
    ("error(print)", "bioxen: (error object is a function value)"),
])
def test_error_values(bx: Bioxen, code: str, message: str) -> None:
    result = bx.eval(code)
    assert result.status == 1
    assert result.errors.splitlines()[0] == message


def test_syntax_error_names_place(bx: Bioxen, profile: str) -> None:
    bx.write("bad.lua", "local x = 1\nx = = 2\n")
    result = bx.run("--profile", profile, "bad.lua")
    assert result.status == 126
    assert "bad.lua:2: unexpected symbol near '='" in result.errors
    assert result.record["outcome"] == "syntax"


def test_chunk_name_of_e_and_stdin(bx: Bioxen) -> None:
    assert "(command line):1: boom" in bx.eval("error('boom')").errors
    assert "stdin:1: boom" in bx.run("-", input=b"error('boom')").errors


@pytest.mark.parametrize("text", [b"#!/usr/bin/env bioxen\nprint('ran', debug and 1)", b"#!x\r\nprint('ran', nil)",
                                  b"\xef\xbb\xbfprint('ran', nil)", b"\xef\xbb\xbf#!/x\nprint('ran', nil)",
                                  b"print('ran', nil)\r\n-- crlf\r\n", b"print('ran', nil) --\xff\xfe"])
def test_shebang_bom_crlf(bx: Bioxen, text: bytes) -> None:
    bx.write("s.lua", text)
    result = bx.run("s.lua")
    assert (result.status, result.out.split()[0]) == (0, b"ran")


def test_line_numbers_count_the_shebang(bx: Bioxen) -> None:
    bx.write("s.lua", "#!/usr/bin/env bioxen\nerror('here')")
    assert "s.lua:2: here" in bx.run("s.lua").errors


def test_empty_script(bx: Bioxen, profile: str) -> None:
    bx.write("empty.lua", "")
    result = bx.run("--profile", profile, "empty.lua")
    assert (result.status, result.out, result.err, result.record["outcome"]) == (0, b"", b"", "ok")


def test_invalid_utf8_in_strings(bx: Bioxen) -> None:
    bx.write("s.lua", b"io = nil print(#'\xff\xfe\x00\x80')")
    assert bx.run("s.lua").out == b"4\n"


def test_nul_in_source(bx: Bioxen) -> None:
    bx.write("s.lua", b"print(#'a\x00b') -- \x00")
    assert bx.run("s.lua").out == b"3\n"


def test_name_is_only_a_label(bx_any: Bioxen) -> None:
    assert bx_any.eval("print(1)", "--name", "worker-1").out == b"1\n"


def test_network_none_is_taken(bx: Bioxen) -> None:
    assert bx.eval("print(1)", "--network", "none").out == b"1\n"


def test_options_with_equals_sign(bx: Bioxen) -> None:
    assert bx.eval("print(io ~= nil)", "--profile=full", "--memory=32MiB", "--timeout=5s").out == b"true\n"


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(bx: Bioxen, flag: str) -> None:
    result = bx.call("run", flag)
    assert result.status == 0
    for option in ("--profile", "--memory", "--cpus", "--timeout", "--cpu-time", "--pids", "--output-limit", "--env",
                   "--mount", "--network", "--report", "--name"):
        assert option in result.text, option


def test_help_of_the_program(bx: Bioxen) -> None:
    result = bx.call("--help")
    assert result.status == 0 and "run" in result.text and "doctor" in result.text


def test_version(bx: Bioxen) -> None:
    result = bx.call("--version")
    assert result.status == 0 and "bioxen" in result.text


def test_many_one_after_the_other(bx_any: Bioxen) -> None:
    for number in range(30):
        result = bx_any.eval(f"print({number})", report=False)
        assert (result.status, result.out) == (0, b"%d\n" % number)


def test_many_at_once(bx_any: Bioxen) -> None:
    running = [bx_any.start("run", "-e", f"local s = 0 for i = 1, 100000 do s = s + i end print({n}, s)")
               for n in range(12)]
    for number, one in enumerate(running):
        result = one.finish(30)
        assert (result.status, result.out) == (0, b"%d\t5000050000\n" % number), result


def test_works_from_a_directory_without_permission(bx_user: Bioxen) -> None:
    """The caller's current directory may be one that it cannot read; -e needs none."""
    assert bx_user.eval("print(1)", cwd="/root" if bx_user.user else "/").out == b"1\n"


def test_umask_and_closed_descriptors_do_not_matter(bx: Bioxen) -> None:
    assert bx.eval("print(1)", umask=0o777, report=False).out == b"1\n"


@pytest.mark.root  # the helpers' descriptors are nobody else's to look at
def test_inherited_descriptors_are_not_passed_on(bx: Bioxen) -> None:
    with open(__file__, "rb") as secret:
        with bx.busy(pass_fds=(secret.fileno(),)) as running:
            for process in (running.vm, running.jailer, running.daemon):
                assert not any(__file__ in target for target in process.descriptors().values()), process
