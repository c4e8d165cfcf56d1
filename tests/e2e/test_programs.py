"""Real Lua programs: the same output as under lua5.4, in both profiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bxrun import Bioxen
from waiting import SLOW

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("*.lua"))
PACKAGES = sorted((HERE / "packages").glob("*.lua"))
LIBRARIES = [Path("/usr/share/lua") / version for version in ("5.4", "5.3", "5.2", "5.1")]
LUA = shutil.which("lua5.4")

pytestmark = pytest.mark.skipif(LUA is None, reason="lua5.4 is missing")


def plain_lua(directory: Path, script: str) -> bytes:
    done = subprocess.run([str(LUA), script], cwd=directory, capture_output=True, timeout=60 * SLOW,
                          env={"LUA_PATH": "./?.lua;./?/init.lua", "LUA_CPATH": ""})
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(bx: Bioxen, profile: str, path: Path) -> None:
    bx.write(path.name, path.read_bytes())
    result = bx.run("--profile", profile, path.name, deadline=60)
    assert (result.status, result.err) == (0, b""), result
    assert result.out == plain_lua(bx.work, path.name)


@pytest.mark.parametrize("path", PROGRAMS[::3], ids=lambda path: path.stem)
def test_program_as_an_ordinary_user(bx_user: Bioxen, path: Path) -> None:
    bx_user.write(path.name, path.read_bytes())
    assert bx_user.run(path.name, deadline=60).out == plain_lua(bx_user.work, path.name)


def find_library(name: str) -> tuple[Path, Path] | None:
    """The place of a pure-Lua library among Debian's, and its path below that place."""
    for place in LIBRARIES:
        for below in (Path(f"{name}.lua"), Path(name)):
            if (place / below).exists():
                return place, below
    return None


def header(text: str, key: str) -> list[str]:
    return [word for line in re.findall(rf"^-- {key}: (.*)$", text, re.M) for word in line.split()]


def library_runs() -> list[object]:
    """Each library in both profiles, but those that themselves need io, debug or package."""
    return [pytest.param(path, profile, id=f"{path.stem}-{profile}") for path in PACKAGES for profile in ("restricted", "full")
            if profile == "full" or "full" not in header(path.read_text(), "profile")]


@pytest.mark.parametrize("path, profile", library_runs())
def test_debian_library(bx: Bioxen, profile: str, path: Path) -> None:
    """A library beside the script, as a user would vendor it."""
    text = path.read_text()
    for name in header(text, "needs"):
        found = find_library(name)
        if found is None:
            pytest.skip(f"the Debian package of {name} is not installed")
        place, below = found
        if (place / below).is_dir():
            shutil.copytree(place / below, bx.work / below)
        else:
            shutil.copy(place / below, bx.work / below)
            if (place / name).is_dir():
                shutil.copytree(place / name, bx.work / name)
    script = f"use_{path.name}"
    bx.write(script, text)
    result = bx.run("--profile", profile, script, deadline=30)
    assert result.status == 0, result
    assert result.out == plain_lua(bx.work, script)


COMPUTATIONS = {
    "fib": "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end print(f(27))",
    "sieve": "local s, n = {}, 0 for i = 2, 200000 do if not s[i] then n = n + 1 for j = i * i, 200000, i do s[j] = true end end end print(n)",
    "strings": "local t = {} for i = 1, 50000 do t[#t + 1] = ('%d:%s'):format(i, ('x'):rep(i % 7)) end local s = table.concat(t, ',') print(#s, s:gsub('x+', '')) ",
    "sort": "local t, x = {}, 1 for i = 1, 50000 do x = x * 16807 % 2147483647 t[i] = x end table.sort(t) print(t[1], t[25000], t[50000]) table.sort(t, function(a, b) return a > b end) print(t[1])",
    "floats": "local s = 0 for i = 1, 200000 do s = s + math.sin(i) * math.sqrt(i) / (1 + math.exp(-i % 7)) end print(('%.12g'):format(s), math.pi, 2^0.5, 1e300 * 1e10, -0.0)",
    "matrix": "local n, m = 60, {} for i = 1, n do m[i] = {} for j = 1, n do m[i][j] = (i * j) % 7 end end local r = 0 for i = 1, n do for j = 1, n do local s = 0 for k = 1, n do s = s + m[i][k] * m[k][j] end r = (r * 31 + s) % 1000003 end end print(r)",
    "coroutines": "local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end local s = 0 for v in gen(50000) do s = s + v end print(s)",
    "closures": "local fs = {} for i = 1, 10000 do fs[i] = function(x) i = i + x return i end end local s = 0 for r = 1, 5 do for i = 1, 10000 do s = s + fs[i](r) end end print(s)",
    "gc": "local live = {} for i = 1, 300000 do live[i % 1000] = {i, {i}, tostring(i)} end local s = 0 for _, v in pairs(live) do s = s + v[1] end print(s)",
    "patterns": "local s = ('key%d = value%d; '):rep(3) local n = 0 for i = 1, 3000 do for k, v in (s:format(i, i, i, i, i, i)):gmatch('(%w+)%s*=%s*(%w+)') do n = n + #k + #v end end print(n)",
    "integers": "local h = 0xcbf29ce484222325 for i = 1, 100000 do h = (h ~ (i & 0xff)) * 0x100000001b3 end print(h, ('%016x'):format(h), math.ult(h, 1), h // 3, h % 7, h >> 5)",
    "pack": "local s = '' for i = 1, 500 do s = s .. string.pack('<i4dz', i, i / 3, 'n' .. i) end local p, c = 1, 0 while p <= #s do local a, b, z; a, b, z, p = string.unpack('<i4dz', s, p) c = c + a + #z end print(c, #s)",
    "utf8": "local s = 'aé漢😀' local t = {} for i = 1, 2000 do for p, c in utf8.codes(s) do t[#t + 1] = utf8.char(c) end end print(#table.concat(t), utf8.len(table.concat(t)))",
    "metatables": "local V = {} V.__index = V V.__add = function(a, b) return setmetatable({x = a.x + b.x}, V) end V.__eq = function(a, b) return a.x == b.x end V.__lt = function(a, b) return a.x < b.x end V.__tostring = function(a) return 'V' .. a.x end local s = setmetatable({x = 0}, V) for i = 1, 50000 do s = s + setmetatable({x = i}, V) end print(s, s == setmetatable({x = 1250025000}, V))",
    "goto and close": "local log = {} for i = 1, 5 do local c <close> = setmetatable({}, {__close = function() log[#log + 1] = i end}) if i % 2 == 0 then goto continue end log[#log + 1] = 'b' .. i ::continue:: end print(table.concat(log, ' '))",
    "deep recursion": "local function d(n) if n == 0 then return 0 end return 1 + d(n - 1) end print(d(150000))",
    "tail calls": "local function t(n, a) if n == 0 then return a end return t(n - 1, a + n) end print(t(1000000, 0))",
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_computation(bx: Bioxen, profile: str, name: str) -> None:
    bx.write("c.lua", COMPUTATIONS[name])
    result = bx.run("--profile", profile, "c.lua", deadline=60)
    assert (result.status, result.out) == (0, plain_lua(bx.work, "c.lua")), result
