"""LuaSocket in a VM: what works, and what was taken out of a script's reach."""

from __future__ import annotations

import pytest

from bxrun import Bioxen, Result


def run(bx: Bioxen, profile: str, code: str, *options: str) -> Result:
    return bx.eval("local s = require 'socket'\n" + code, "--profile", profile, "--network", "fabric", "--timeout", "10s", *options)


def lines(bx: Bioxen, profile: str, code: str, *options: str) -> list[str]:
    result = run(bx, profile, code, *options)
    assert result.status == 0, result
    return result.text.splitlines()


PAIR = """
local l = assert(s.bind("127.0.0.1", 0)) local _, port = l:getsockname()
local a = assert(s.connect("127.0.0.1", port)) local b = assert(l:accept())
"""


class Anything(str):
    """Stands for what a test does not say."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __hash__(self) -> int:
        return 0


ANY = Anything()


def test_tcp(bx_any: Bioxen, profile: str) -> None:
    assert lines(bx_any, profile, PAIR + """
a:send("one\\ntwo\\nrest") a:shutdown("send")
for _, how in ipairs {"*l", "*l", "*a", "*l"} do print((b:receive(how))) end
print((b:getstats())) print(a:getpeername() == "127.0.0.1", a:getfamily()) b:close() print(a:receive())
print(s.connect("127.0.0.1", 1))""") == [
        "one", "two", "rest", "nil", ANY, "true\tinet4", "nil\tclosed\t", "nil\tconnection refused"]


def test_udp(bx_any: Bioxen, profile: str) -> None:
    assert lines(bx_any, profile, """
local a, b = s.udp4(), s.udp4() assert(a:setsockname("127.0.0.1", 0)) local _, port = a:getsockname()
print(b:sendto("hello", "127.0.0.1", port) == 5) local data, ip = a:receivefrom() print(data, ip)
b:setpeername("127.0.0.1", port) b:send(("x"):rep(9000)) print(#a:receive(1 << 20))
a:settimeout(0.01) print(a:receive(1 << 20)) a:close() b:send("x") b:settimeout(1) print(b:receive())""") == [
        "true", "hello\t127.0.0.1", "9000", "nil\ttimeout", "nil\tconnection refused"]


def test_timeouts_and_sleep(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, PAIR + """
local function timed(f, ...) local t = s.gettime() local r = {f(...)} return s.gettime() - t, table.unpack(r) end
a:settimeout(0.2) local t, _, e = timed(a.receive, a) print(e, t > 0.19 and t < 5)
local t, r, w, e = timed(s.select, {a}, nil, 0.2) print(#r, #w, e, t > 0.19 and t < 5)
local t = timed(s.sleep, 0.2) print(t > 0.19 and t < 5)
local t = timed(s.sleep, 0.0004) print(t >= 0.0004)
l:settimeout(0) print(l:accept())""") == ["timeout\ttrue", "0\t0\ttimeout\ttrue", "true", "true", "nil\ttimeout"]


def test_select(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, PAIR + """
local r, w, e = s.select({a, b, l}, {a, b}, 0) print(#r, #w, e, w[a], w[b], w[l])
a:send("x\\ny\\n") r = s.select({a, b}, nil, 5) print(#r, r[1] == b, r[b], r[a])
b:receive() r = s.select({b}, nil, 5) print(#r)          -- what is read and not taken counts
b:receive() r, w, e = s.select({b, b}, nil, 0) print(#r, e)
print(#s.select({}, {b, b}, 0), #select(2, s.select({}, {b, b}, 0)))
print(#s.select(nil, nil, 0), select("#", s.select(nil, nil, 0)))
a:close() print(#select(2, s.select({}, {a}, 0))) r = s.select({b}) print(r[1] == b)""") == [
        "0\t2\tnil\t1\t2\tnil", "1\ttrue\t1\tnil", "1", "0\ttimeout", "0\t2", "0\t3", "0", "true"]


def test_many_descriptors(bx: Bioxen, profile: str) -> None:
    """Beyond 64 or 1,024 there is no other kind of select; and there is an end."""
    out = lines(bx, profile, """
local t = {} for i = 1, 4096 do local u, e = s.udp4() if not u then print(e) break end t[i] = u end
print(#t > 300 and #t < 1000, #select(2, s.select(nil, t, 0)) == #t)""")
    assert out == ["Too many open files", "true\ttrue"], out


FORGED = ["{getfd = function() return 2^31 end, dirty = function() return false end}", "{getfd = function() return 3 end}", "{}", "1", "'x'", "true", "print",
          "setmetatable({}, {__index = s.udp4()})", "coroutine.create(print)"]


@pytest.mark.parametrize("object_", FORGED)
def test_select_takes_sockets_only(bx: Bioxen, profile: str, object_: str) -> None:
    out = lines(bx, profile, f"print(pcall(s.select, {{{object_}}}, nil, 0)) print(pcall(s.select, nil, {{s.udp4(), {object_}}}, 0))")
    assert all(line.startswith("false\t") and "is not a socket" in line for line in out) and len(out) == 2, out


@pytest.mark.parametrize("arguments", ["1", "nil, 1", "{}, {}, 'x'", "{}, {}, {}", "setmetatable({}, {__len = function() return 1e9 end}), nil, 0"])
def test_select_of_nonsense(bx: Bioxen, profile: str, arguments: str) -> None:
    assert run(bx, profile, f"print(pcall(s.select, {arguments}))").status == 0


def test_select_while_a_finalizer_empties_the_tables(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, PAIR + """
a:send("x") local t = {} for i = 1, 200 do t[i] = i % 2 == 0 and a or b end
setmetatable({}, {__gc = function() for i = 1, 200 do t[i] = nil end end})
for i = 1, 200 do collectgarbage("step") end
for _ = 1, 100 do collectgarbage("generational") s.select(t, t, 0) end print("alive")""") == ["alive"]


def test_descriptors_are_out_of_reach(bx: Bioxen, profile: str) -> None:
    """Of every class: no method that tells or sets a descriptor, and no way to the table of methods."""
    assert lines(bx, profile, PAIR + """
local u, v = s.udp4(), s.udp4() v:setpeername("127.0.0.1", 9)
for _, x in ipairs {s.tcp4(), a, b, l, u, v} do
  print(x.setfd, x.getfd, x.dirty, getmetatable(x), pcall(setmetatable, {}, getmetatable(x)))
end
print(s.unix, s.serial, pcall(require, "socket.unix") and 1, pcall(require, "socket.serial") and 1)""") == [
        "nil\tnil\tnil\tfalse\tfalse\tbad argument #2 to 'setmetatable' (nil or table expected, got boolean)"] * 6 + ["nil\tnil\tfalse\tfalse"]


def test_debug_finds_no_way_to_descriptors(bx: Bioxen) -> None:
    """The full library's debug sees registry and metatables: the functions are not in there either."""
    assert lines(bx, "full", PAIR + """
local seen, found = {}, {}
local function look(x, path)
  if seen[x] then return end
  seen[x] = true
  local t = type(x)
  if t == "table" then
    for k, v in next, x do
      if k == "setfd" or k == "getfd" or k == "dirty" then found[#found + 1] = path .. "." .. k end
      if type(v) ~= "string" then look(v, path .. "." .. tostring(k)) end
    end
  elseif t == "function" then
    for i = 1, 255 do local n, v = debug.getupvalue(x, i) if not n then break end if v ~= nil then look(v, path .. "^" .. i) end end
  end
  local m = debug.getmetatable(x)
  if m then look(m, path .. ":") end
end
look(debug.getregistry(), "R") look(_G, "G") look(a, "a")
print(#found, table.concat(found, " "))""") == ["0\t"]


def test_names(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, """
print(s.dns.toip("127.0.0.1")) print((s.dns.toip("localhost"))) print(s.dns.toip("example.com")) print(s.dns.toip("::1"))
print(s.dns.toip(("x"):rep(10000))) print(s.dns.toip("")) print(s.dns.gethostname())
local list = s.dns.getaddrinfo("localhost") print(#list, list[1].family, list[1].addr)
print(s.dns.getaddrinfo("nobody")) print(s.dns.tohostname("127.0.0.1"))
print(s.tcp4():connect("nobody", 1)) print(s.connect6("::1", 1)) print(s.tcp6()) print(s.udp6())
print(s.tcp4():bind("1.2.3.4", 5555)) print(s.tcp4():connect("127.0.0.1", "http")) print(s.tcp4():connect("127.0.0.1", 70000))""", "--name", "me") == [
        ANY, "127.0.0.1", "nil\thost not found", "nil\thost not found", "nil\thost not found", "nil\thost not found", "me", "1\tinet\t127.0.0.1",
        "nil\thost or service not provided, or not known", ANY, "nil\thost or service not provided, or not known", ANY,
        "nil\tAddress family not supported by protocol", "nil\tAddress family not supported by protocol", ANY, ANY, ANY]


def test_modules(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, """
for _, name in ipairs {"socket", "socket.core", "mime", "mime.core", "ltn12", "socket.url", "socket.headers", "socket.http", "socket.tp", "socket.smtp", "socket.ftp"} do
  assert(type(require(name)) == "table", name)
end
print(require("mime").b64("Man"), require("socket.url").parse("http://a:1/b").path, require("socket") == s)
print(pcall(require, "socket.nothing"))""")[0] == "TWFu\t/b\ttrue"


def test_without_a_network_there_is_none_of_it(bx: Bioxen, profile: str) -> None:
    result = bx.eval("for _, n in ipairs {'socket', 'socket.core', 'mime', 'ltn12'} do print((pcall(require, n))) end", "--profile", profile)
    assert result.out == b"false\n" * 4, result


def test_garbage_collection_closes(bx: Bioxen, profile: str) -> None:
    assert lines(bx, profile, "for i = 1, 3000 do s.udp4() if i % 100 == 0 then collectgarbage() end end print(s.udp4() ~= nil)") == ["true"]


def test_memory_of_a_datagram_counts(bx: Bioxen, profile: str) -> None:
    out = lines(bx, profile, "local u = s.udp4() u:setsockname('127.0.0.1', 0) u:settimeout(0.01) print(u:receive(1 << 40)) print(u:receive(100 << 20)) print(u:receive(1 << 20))", "--memory", "32MiB")
    assert out == ["nil\tout of memory", "nil\tout of memory", "nil\ttimeout"], out


def test_a_wait_ends_with_the_time_limit(bx: Bioxen, profile: str) -> None:
    for wait in ("l:accept()", "s.select({l})", "s.sleep(1000)"):
        result = run(bx, profile, f"local l = s.bind('*', 0) {wait}", "--timeout", "300ms")
        assert result.status == 124, result
