"""The memory limit: first an ordinary Lua error that can be caught, behind it the kernel's."""

from __future__ import annotations

import pytest

from bxrun import Bioxen
from waiting import SLOW

EATERS = {
    "strings": "local t = {} while true do t[#t + 1] = ('x'):rep(1 << 16) .. #t end",
    "one string": "local s = 'x' while true do s = s .. s end",
    "rep": "local s = ('x'):rep(1 << 30)",
    "tables": "local t = {} while true do t = {t, {}} end",
    "array": "local t, i = {}, 0 while true do i = i + 1 t[i] = i end",
    "hash": "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end",
    "closures": "local t, i = {}, 0 while true do i = i + 1 t[i] = function() return i, t end end",
    "coroutines": "local t = {} while true do local c = coroutine.create(function() coroutine.yield() end) coroutine.resume(c) t[#t + 1] = c end",
    "concat": "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(100) end return #table.concat(t)",
    "format": "local t = {} while true do t[#t + 1] = ('%99.99f'):format(1e308) .. #t end",
    "gsub": "return #(('x'):rep(1 << 20):gsub('x', ('y'):rep(1000)))",
    "load": "local p = {} for i = 1, 3e6 do p[i] = 'x' .. i .. '=' .. i end return load(table.concat(p, ' '))",
    "upvalues": "local t = {} while true do local a, b, c = {}, {}, {} t[#t + 1] = function() return a, b, c end end",
    "gc stopped": "collectgarbage('stop') while true do local s = ('x'):rep(1 << 20) .. os.clock() end",
}


@pytest.mark.interpreter
@pytest.mark.parametrize("name", EATERS)
def test_is_an_error_that_can_be_caught(bx: Bioxen, name: str) -> None:
    code = f"local ok, message = pcall(function() {EATERS[name]} end) collectgarbage('restart') collectgarbage() print(ok, message)"
    result = bx.eval(code, "--memory", "24MiB", "--timeout", f"{20 * SLOW:g}s", deadline=30)
    assert (result.status, result.out) == (0, b"false\tnot enough memory\n"), result
    assert result.record["memory_peak"] <= 30 << 20


@pytest.mark.interpreter
@pytest.mark.parametrize("size", ["8MiB", "12MiB", "16MiB", "22MiB", "24MiB", "32MiB", "44MiB", "64MiB"])
def test_a_full_string_table_is_an_error(bx: Bioxen, size: str, profile: str) -> None:
    """Lua goes on when its string table cannot grow, and tries again at every new string: that must not be a full
    collection for each of them."""
    code = "local t, i = {}, 0 print(pcall(function() while true do i = i + 1 t['k' .. i] = i end end))"
    result = bx.eval(code, "--memory", size, "--profile", profile, "--timeout", f"{10 * SLOW:g}s")
    assert (result.status, result.out) == (0, b"false\tnot enough memory\n"), result


@pytest.mark.parametrize("step", [10_000, 100_000])
@pytest.mark.parametrize("size", ["4MiB", "6MiB", "8MiB"])
def test_a_string_that_grows_is_not_killed(bx: Bioxen, size: str, step: int) -> None:
    """Each new string goes where pages were given back, while the old one's pages stay: both count."""
    code = f"local s, x = '', ('x'):rep({step}) print(pcall(function() while true do s = s .. x end end))"
    result = bx.eval(code, "--memory", size, "--timeout", f"{20 * SLOW:g}s", deadline=30)
    assert (result.status, result.out) == (0, b"false\tnot enough memory\n"), result


def test_full_and_ordinary_user(bx_any: Bioxen, profile: str) -> None:
    code = "print(pcall(string.rep, 'x', 100 << 20)) local s = ('x'):rep(8 << 20) print(#s)"
    result = bx_any.eval(code, "--memory", "32MiB", "--profile", profile)
    assert result.out == b"false\tnot enough memory\n8388608\n"


def test_memory_is_usable_up_to_the_limit(bx_any: Bioxen) -> None:
    """A limit of 64 MiB leaves most of it to the script, and the kernel does not step in first."""
    code = "local t = {} for i = 1, 50 do t[i] = ('x'):rep(1 << 20) .. i end print(#t)"
    assert bx_any.eval(code).out == b"50\n"


@pytest.mark.interpreter
def test_goes_on_after_many_failures(bx: Bioxen) -> None:
    """Each time the memory can be filled anew: what the failure before has left is garbage, and makes room."""
    code = """local n, x = 0, ('x'):rep(1 << 10)
    for i = 1, 50 do
      local count = 0
      if not pcall(function() local t = {} while true do t[#t + 1] = x:rep(1 << 8) .. #t count = #t end end) and count > 30 then n = n + 1 end
    end
    print(n)"""
    assert bx.eval(code, "--memory", "16MiB", "--timeout", f"{30 * SLOW:g}s", deadline=40).out == b"50\n"


def test_small_limits(bx_any: Bioxen, profile: str) -> None:
    for size in ("2MiB", "3MiB", "4MiB", "8MiB"):
        result = bx_any.eval("print(pcall(string.rep, 'x', 64 << 20))", "--memory", size, "--profile", profile)
        assert (result.status, result.out) == (0, b"false\tnot enough memory\n"), (size, result)


def test_below_the_smallest_is_refused_in_words(bx: Bioxen) -> None:
    result = bx.eval("print(1)", "--memory", "1MiB", report=False)
    assert result.status == 2 and "memory" in result.errors and "2" in result.errors


def test_larger_than_the_host(bx: Bioxen) -> None:
    """More than the machine has is a wish like another; the script runs."""
    assert bx.eval("print(1)", "--memory", "1024GiB").out == b"1\n"


@pytest.mark.probe
def test_native_code_meets_the_kernels_limit(bx: Bioxen, profile: str) -> None:
    code = """local p = require 'native_probe'
    local size = 256 << 20
    local at = p.call(9, 0, size, 3, 0x22, -1, 0)
    if at < 0 then print('refused', p.errname(-at)) return end
    for i = 0, (size >> 12) - 1 do p.poke(at + (i << 12), 'x') end
    print('ESCAPED')"""
    result = bx.eval(code, "--memory", "32MiB", "--profile", profile)
    assert b"ESCAPED" not in result.out
    if b"refused" not in result.out:
        assert result.record["outcome"] == "memory" and result.status == 137, result
        assert result.record["memory_peak"] <= 34 << 20


@pytest.mark.probe
def test_native_code_of_an_ordinary_user(bx_user: Bioxen) -> None:
    code = """local p = require 'native_probe'
    local got = 0
    for i = 1, 512 do
      local at = p.call(9, 0, 1 << 20, 3, 0x22, -1, 0)
      if at < 0 then break end
      for page = 0, 255 do p.poke(at + (page << 12), 'x') end
      got = i
    end
    print(got)"""
    result = bx_user.eval(code, "--memory", "32MiB")
    assert result.record["outcome"] == "memory" or int(result.out) <= 40, result


@pytest.mark.interpreter
def test_stack_depth_is_an_error(bx_any: Bioxen, profile: str) -> None:
    for code in ("local function f() return 1 + f() end print(pcall(f))", "local function f() pcall(f) end f() print('x', 'overflow')",
                 "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end print(pcall(function() return t[1] end))",
                 "print(pcall(string.gsub, ('x'):rep(10), ('(x'):rep(40), ''), 'overflow')",
                 "print(load(('('):rep(100000)), 'overflow')", "print(pcall(string.find, ('a'):rep(300000), ('a?'):rep(300000)), 'overflow')"):
        result = bx_any.eval(code, "--profile", profile)
        assert result.status == 0 and (b"overflow" in result.out or b"not enough memory" in result.out), result


def test_tmp_counts_as_memory_or_has_its_own_limit(bx_any: Bioxen) -> None:
    code = """local f = io.open('/tmp/big', 'wb') local n, e = 0
    for i = 1, 128 do local ok, m = f:write(('x'):rep(1 << 20)) if not ok then e = m break end n = i end print(n, e)"""
    result = bx_any.eval(code, "--profile", "full", "--memory", "64MiB")
    if result.record["outcome"] == "ok":
        assert int(result.out.split()[0]) <= 16 and b"No space left" in result.out
    else:
        assert result.record["outcome"] == "memory"
