"""A timeout ends everything, within half a second of its time, whatever the script does."""

from __future__ import annotations

import subprocess

import pytest

from bxrun import Bioxen
from waiting import SLOW

LOOPS = {
    "plain": "while true do end",
    "repeat": "repeat until false",
    "goto": "::again:: goto again",
    "numeric for": "for i = math.mininteger, math.maxinteger do end",
    "float for": "for x = 0.0, 1.0, 1e-300 do end",
    "tail call": "local function f() return f() end f()",
    "in pcall": "while true do pcall(function() while true do end end) end",
    "pcall of error": "while true do pcall(error, 'again') end",
    "xpcall handler": "xpcall(error, function() while true do end end)",
    "handler of handler": "while true do xpcall(error, function() error('x') end) end",
    "in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "between coroutines": "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "new coroutines": "while true do coroutine.wrap(function() pcall(coroutine.yield) end)() end",
    "in __gc": "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()",
    "in __gc at the end": "x = setmetatable({}, {__gc = function() while true do end end})",
    "in __close": "do local x <close> = setmetatable({}, {__close = function() while true do end end}) end",
    "in __close by error": "local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x')",
    "in __close by coroutine.close": """local c = coroutine.create(function()
        local x <close> = setmetatable({}, {__close = function() while true do end end}) coroutine.yield() end)
        coroutine.resume(c) coroutine.close(c)""",
    "in __tostring of the error": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "in __index": "local t = setmetatable({}, {__index = function() while true do end end}) print(t.x)",
    "in __eq": "local m = {__eq = function() while true do end end} print(setmetatable({}, m) == setmetatable({}, m))",
    "in __concat": "print(setmetatable({}, {__concat = function() while true do end end}) .. 'x')",
    "sort": "table.sort({1, 2, 3}, function() while true do end end)",
    "gsub callback": "('x'):gsub('x', function() while true do end end)",
    "load reader": "load(function() return ' ' end)",
    "backtracking find": "('a'):rep(200):find(('.-'):rep(12) .. 'b')",
    "backtracking match": "('a'):rep(6000):match('(.-)(.-)(.-)%1%2%3b')",
    "backtracking star": "('a'):rep(40000):match(('a*'):rep(20) .. 'b')",
    "balance": "('('):rep(2000000):gsub('%b()', '')",
    "gmatch": "for _ in ('a'):rep(500000):gmatch('.-b') do end",
    "string.rep of nothing": "(''):rep(1 << 62)",
    "table.concat": "table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, math.maxinteger - 1)",
    "table.move": "table.move({}, 1, math.maxinteger - 1, 2)",
    "table.insert": "table.insert(setmetatable({}, {__len = function() return 1 << 53 end}), 1, 1)",
    "table.remove": "table.remove(setmetatable({}, {__len = function() return 1 << 53 end}), 1)",
    "collectgarbage": "local t = {} for i = 1, 1e5 do t[i] = {} end while true do collectgarbage() end",
    "string comparison": "local a, b = ('x'):rep(1 << 24), ('x'):rep(1 << 24) .. 'y' while true do local c = a < b end",
    "tonumber": "local s = ('9'):rep(1 << 24) while true do tonumber(s) end",
    "utf8.len": "local s = ('x'):rep(1 << 24) while true do utf8.len(s) end",
    "tostring": "while true do tostring({}) end",
    "while printing": "while true do print() end",
}

FULL_LOOPS = {
    "hook": "debug.sethook(function() while true do end end, 'c') print(1)",
    "hook taken away": "debug.sethook() while true do end",
    "coroutine without hooks": "local c = coroutine.create(function() while true do end end) debug.sethook(c) coroutine.resume(c)",
    "reading and seeking": "local f = io.tmpfile() f:write(('x'):rep(1 << 20)) while true do f:seek('set') f:read('a') end",
    "removing": "while true do os.remove('/tmp/none') end",
    "opening": "while true do local f = io.open('/tmp/x', 'w') if f then f:close() end end",
    "popen": "while true do pcall(io.popen, 'true') end",
    "execute": "while true do os.execute('true') end",
    "stdin": "while true do io.read('a') end",
    "date": "while true do os.date('%c', 1 << 50) end",
    "require": "while true do pcall(require, 'nothing.there') package.loaded['nothing.there'] = nil end",
    "metatables of all": "debug.setmetatable(nil, {__index = function() while true do end end}) local x = nil print(x.y)",
}


def check_ends(bx: Bioxen, code: str, profile: str, flag: str = "--timeout") -> None:
    """A loaded host is late by itself now and then; three times in a row is our fault."""
    for _ in range(3):
        result = bx.eval(code, flag, "500ms", "--profile", profile, "--output-limit", "1GiB", stdout=subprocess.DEVNULL)
        assert result.record["outcome"] == ("timeout" if flag == "--timeout" else "cpu"), result
        assert result.status == 124
        if flag == "--cpu-time":  # how long 500 ms of CPU time take is up to the host's other work
            in_time = 450 <= result.record["cpu_ms"] <= 500 + 250 * SLOW
        else:
            in_time = max(result.seconds, result.record["wall_ms"] / 1000) <= 0.5 + 0.5 * SLOW
        if in_time:
            return
    raise AssertionError(f"late: {result}")


@pytest.mark.parametrize("name", LOOPS)
def test_restricted(bx: Bioxen, name: str) -> None:
    check_ends(bx, LOOPS[name], "restricted")


@pytest.mark.parametrize("name", FULL_LOOPS)
def test_full(bx: Bioxen, name: str) -> None:
    check_ends(bx, FULL_LOOPS[name], "full")


@pytest.mark.parametrize("name", ["plain", "in pcall", "in __gc", "backtracking find", "string.rep of nothing", "in __gc at the end"])
def test_as_an_ordinary_user(bx_user: Bioxen, name: str) -> None:
    check_ends(bx_user, LOOPS[name], "restricted")
    check_ends(bx_user, LOOPS[name], "full")


@pytest.mark.parametrize("name", ["plain", "in pcall", "in a coroutine", "in __gc", "in __gc at the end", "in __close", "xpcall handler", "backtracking find"])
def test_cpu_time(bx_any: Bioxen, name: str) -> None:
    check_ends(bx_any, LOOPS[name], "restricted", "--cpu-time")


def test_exit_with_finalizers_that_never_end(bx: Bioxen, profile: str) -> None:
    code = "x = setmetatable({}, {__gc = function() while true do end end}) os.exit(0, true)"
    result = bx.eval(code, "--timeout", "500ms", "--profile", profile)
    assert result.record["outcome"] in ("timeout", "exit") and result.seconds < 0.5 + 0.5 * SLOW


def test_parsing_counts_too(bx: Bioxen) -> None:
    """The read of the script is under the limit as well."""
    bx.write("deep.lua", "local t = {" + "{}," * 4000000 + "}")
    result = bx.run("--timeout", "50ms", "deep.lua")
    assert result.record["outcome"] in ("timeout", "syntax", "memory", "error") and result.seconds < 2 * SLOW


def test_short_timeouts(bx_any: Bioxen) -> None:
    for text in ("1ms", "2ms", "5ms", "10ms", "20ms"):
        result = bx_any.eval("while true do end", "--timeout", text)
        assert (result.status, result.record["outcome"]) == (124, "timeout")
        assert result.seconds < 0.5 * SLOW


def test_timeout_does_not_fire_early(bx: Bioxen) -> None:
    code = "local t = os.time() local c = os.clock() while os.clock() - c < 0.4 do end print('done')"
    assert bx.eval(code, "--timeout", "10s").out == b"done\n"


def test_cpu_time_does_not_count_waiting(bx: Bioxen) -> None:
    """A VM that waits for its reader uses no CPU time."""
    running = bx.start("run", "--cpu-time", "400ms", "-e", "for i = 1, 3000 do print(('x'):rep(100)) end print('end')")
    import time
    time.sleep(0.7)
    result = running.finish()
    assert result.status == 0 and result.out.endswith(b"end\n")


def test_a_timeout_of_a_day_is_fine(bx: Bioxen) -> None:
    assert bx.eval("print(1)", "--timeout", "1440m").out == b"1\n"


def test_no_count_hook_while_no_limit_fires(bx: Bioxen) -> None:
    assert bx.eval("print(debug.gethook())", "--profile", "full", "--timeout", "5s").out in (b"nil\n", b"nil\t\t0\n", b"nil\t\tnil\n", b"\n")
