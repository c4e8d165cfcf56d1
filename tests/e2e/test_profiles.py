"""What a script finds in each profile: allowlists by name, not samples."""

from __future__ import annotations

from bxrun import Bioxen

LIST = """local names = {}
local function walk(t, prefix) for k, v in pairs(t) do
  if type(v) == "table" and v ~= _G and prefix == "" and k ~= "arg" then walk(v, k .. ".") else names[#names + 1] = prefix .. tostring(k) end
end end
walk(_G, "") table.sort(names) print(table.concat(names, "\\n"))"""

BASE = {"_G", "_VERSION", "arg", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load", "next", "pairs", "pcall", "print", "rawequal",
        "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "warn", "xpcall"}
COROUTINE = {"close", "create", "isyieldable", "resume", "running", "status", "wrap", "yield"}
MATH = {"abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min", "mininteger", "modf", "pi",
        "rad", "random", "randomseed", "sin", "sqrt", "tan", "tointeger", "type", "ult"}
STRING = {"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse", "sub", "unpack", "upper"}
TABLE = {"concat", "insert", "move", "pack", "remove", "sort", "unpack"}
UTF8 = {"char", "charpattern", "codepoint", "codes", "len", "offset"}
OS_RESTRICTED = {"clock", "date", "difftime", "exit", "getenv", "time"}


def names_of(bx: Bioxen, profile: str) -> set[str]:
    return set(bx.eval(LIST, "--profile", profile).text.split())


def qualified(library: str, names: set[str]) -> set[str]:
    return {f"{library}.{name}" for name in names}


SAFE = (BASE | qualified("coroutine", COROUTINE) | qualified("math", MATH) | qualified("string", STRING) | qualified("table", TABLE)
        | qualified("utf8", UTF8))
RESTRICTED = SAFE | qualified("os", OS_RESTRICTED) | {"debug.traceback"}


def test_restricted_is_exactly_the_safe_part(bx: Bioxen) -> None:
    compatible = qualified("math", {"cosh", "frexp", "ldexp", "log10", "pow", "sinh", "tanh", "atan2"})  # a Lua built for 5.3 has them
    assert names_of(bx, "restricted") - compatible == RESTRICTED


def test_full_is_the_whole_library(bx: Bioxen) -> None:
    names = names_of(bx, "full")
    io = {"close", "flush", "input", "lines", "open", "output", "popen", "read", "stderr", "stdin", "stdout", "tmpfile", "type", "write"}
    os = OS_RESTRICTED | {"execute", "remove", "rename", "setlocale", "tmpname"}
    debug = {"debug", "gethook", "getinfo", "getlocal", "getmetatable", "getregistry", "getupvalue", "getuservalue", "sethook", "setlocal",
             "setmetatable", "setupvalue", "setuservalue", "traceback", "upvalueid", "upvaluejoin"}
    want = SAFE | {"dofile", "loadfile", "string.dump"} | qualified("io", io) | qualified("os", os) | qualified("debug", debug)
    assert want - {"string.dump", "warn"} <= names
    assert {"package.path", "package.cpath", "package.config", "package.loaded", "package.preload", "package.searchers", "package.searchpath"} <= names
    assert "package.loadlib" not in names or "false" in bx.eval("print(pcall(package.loadlib, 'libc.so.6', 'abort'))", "--profile", "full").text or \
        bx.eval("print(package.loadlib('libc.so.6', 'abort'))", "--profile", "full").text.startswith("nil")


def test_string_metatable_is_closed_when_restricted(bx: Bioxen) -> None:
    code = """print(type(getmetatable("")) ~= "table", pcall(setmetatable, getmetatable("") or {}, {}))
        print(pcall(function() getmetatable("").__index = nil end))
        print(("x"):upper(), #"abc", "1" + 1, ("%d"):format(3))"""
    lines = bx.eval(code).text.splitlines()
    assert lines[0].startswith("true") and lines[1].startswith("false") and lines[2] == "X\t3\t2\t3"


def test_string_metatable_is_open_in_full(bx: Bioxen) -> None:
    """Lua's own test suite uses it; in `full` the operating system is the boundary."""
    assert bx.eval('print(getmetatable("").__index == string)', "--profile", "full").out == b"true\n"


def test_load_takes_text_only(bx: Bioxen, profile: str) -> None:
    code = r"""local bin = "\27Lua\x54\0\x19\x93\r\n\x1a\n" .. ("\0"):rep(100)
        for _, m in ipairs{"b", "bt", "t", "tb", ""} do print(load(bin, "x", m)) end print(load(bin)) print(load(function() local b = bin bin = nil return b end))
        print(load("return 1", "x", "b"))
        print(load("return 1 + 1")(), load("return x", "n", "t", {x = 5})())"""
    lines = bx.eval(code, "--profile", profile).text.splitlines()
    assert all(line.startswith("nil") for line in lines[:8]) and lines[8] == "2\t5", lines


def test_full_loadfile_and_dofile_take_text_only(bx: Bioxen) -> None:
    code = r"""local f = io.open('/tmp/b', 'wb') f:write("\27Lua\x54\0\x19\x93\r\n\x1a\n", ("\0"):rep(100)) f:close()
        for _, m in ipairs{'b', 'bt'} do print(loadfile('/tmp/b', m)) end print(loadfile('/tmp/b')) print(pcall(dofile, '/tmp/b'))
        local g = io.open('/tmp/t.lua', 'w') g:write('return ...') g:close() print(loadfile('/tmp/t.lua')(7), dofile('/tmp/t.lua'))"""
    lines = bx.eval(code, "--profile", "full").text.splitlines()
    assert all(line.startswith(("nil", "false")) for line in lines[:4]) and lines[4] == "7", lines
    assert all("text" in line or "binary" in line for line in lines[:4]), lines


def test_os_dates_and_times(bx: Bioxen, profile: str) -> None:
    code = """print(os.date('!%Y-%m-%d %H:%M:%S', 86400 * 365)) print(os.time{year = 2020, month = 1, day = 1, hour = 12} ~= nil)
        print(math.abs(os.time() - %d) < 100, os.clock() < 5, os.difftime(5, 3)) print(os.date('*t').year >= 2024, pcall(os.date, '%Ez'))"""
    import time
    lines = bx.eval(code.replace("%d)", f"{int(time.time())})"), "--profile", profile).text.splitlines()
    assert lines[0] == "1971-01-01 00:00:00" and lines[1] == "true" and lines[2] == "true\ttrue\t2.0"


def test_random_differs_between_vms(bx: Bioxen, profile: str) -> None:
    """Two VMs must not share their random numbers or hash seeds."""
    code = "print(math.random(0), tostring({}), tostring(print))"
    one, two = (bx.eval(code, "--profile", profile).text.split("\t") for _ in range(2))
    assert one[0] != two[0] and one[1] != two[1] and one[2] != two[2]


def test_print_and_tostring(bx: Bioxen, profile: str) -> None:
    code = "print(1, 1.0, -0.0, 1e15, 2^53, 1/0, -1/0, 10 // 3, 'a\\0b', nil, true, math.mininteger, 0x7fffffffffffffff + 1, 1e100)"
    want = b"1\t1.0\t-0.0\t1e+15\t9.007199254741e+15\tinf\t-inf\t3\ta\0b\tnil\ttrue\t-9223372036854775808\t-9223372036854775808\t1e+100\n"
    assert bx.eval(code, "--profile", profile).out == want


def test_warn(bx: Bioxen, profile: str) -> None:
    result = bx.eval("warn('@on') warn('one', ' two') warn('@off') warn('silent') print('end')", "--profile", profile)
    assert result.out == b"end\n" and "Lua warning: one two" in result.errors and "silent" not in result.errors


def test_traceback_in_restricted(bx: Bioxen) -> None:
    code = "local function f() return debug.traceback('here') end print(f()) print(debug.getinfo, debug.sethook, debug.getregistry)"
    text = bx.eval(code).text
    assert text.startswith("here\nstack traceback:") and text.endswith("nil\tnil\tnil\n")


def test_full_execute_and_popen_fail_as_errors(bx_any: Bioxen) -> None:
    code = """print(os.execute()) print(os.execute('true')) print(pcall(io.popen, 'id')) print('alive')
        local ok, f = pcall(io.popen, 'echo hi') if ok and f then print('read', f:read('a')) end"""
    result = bx_any.eval(code, "--profile", "full")
    assert result.status == 0 and "alive" in result.text and "read\thi" not in result.text
    assert result.text.splitlines()[0] == "false"


def test_full_setlocale(bx: Bioxen) -> None:
    assert bx.eval("print(os.setlocale(), os.setlocale('C'), os.setlocale('xx_XX'))", "--profile", "full").out == b"C\tC\tnil\n"


def test_full_standard_files(bx: Bioxen) -> None:
    code = """io.write('a', 1, 2.5, '\\n') io.stdout:write('b'):write('c\\n') io.stderr:write('err') print(io.type(io.stdout), io.type(42))
        print(io.stdin:read('a') == '', io.read('l'), io.lines()() , io.stdout:seek())"""
    result = bx.eval(code, "--profile", "full")
    assert result.text.startswith("a12.5\nbc\nfile\tnil\ntrue\tnil\tnil\t") and result.err == b"err", result


def test_full_stdout_can_be_closed_and_redirected(bx: Bioxen) -> None:
    result = bx.eval("io.output('/tmp/x') io.write('hidden') io.close() io.stdout:write('shown\\n') io.stdout:close() print('lost')", "--profile", "full")
    assert b"hidden" not in result.out and result.out.startswith(b"shown\n")


def test_a_script_cannot_hurt_the_next_one(bx: Bioxen, profile: str) -> None:
    bx.eval("string.upper = nil print = nil _G.x = 1 setmetatable(_G, {__index = error})", "--profile", profile)
    assert bx.eval("print(('a'):upper(), x)", "--profile", profile).out == b"A\tnil\n"
