"""The private network, asked of the jailer directly: who reaches whom, and that nobody reaches anything else."""

from __future__ import annotations

import itertools
import os
import random
import socket
from pathlib import Path
from typing import Iterator

import pytest

from bxrun import user_skip_reason
from jailer import FULL, RESTRICTED, TCP, UDP, VM, Jailer, Refused
from waiting import SLOW, wait_for

pytestmark = pytest.mark.probe

# Serves on TCP and UDP, and tells its name to whoever comes.
SERVER = """
local socket = require "socket"
local name, ports = "%s", {%s}
local all, tcp = {}, {}
for _, port in ipairs(ports) do
  local l, u = assert(socket.bind("*", port, 64)), assert(socket.udp4())
  assert(u:setsockname("*", port))
  all[#all + 1], all[#all + 2], tcp[l] = l, u, true
end
print("up")
while true do
  for _, s in ipairs((socket.select(all))) do
    if tcp[s] then
      local c = s:accept()
      if c then c:send(name .. "\\n") c:close() end
    else
      local data, ip, port = s:receivefrom()
      if data then s:sendto(name, ip, port) end
    end
  end
end
"""

# Tries a list of targets, and prints what came of each.
CLIENT = """
local socket = require "socket"
local function tcp(ip, port)
  local c = socket.tcp4() c:settimeout(5)
  local ok, why = c:connect(ip, port)
  if not ok then c:close() return why end
  local name, e = c:receive() c:close()
  return name or e
end
local function udp(ip, port)
  local u = socket.udp4() u:settimeout(0.5)
  local ok, why = u:setpeername(ip, port)
  if not ok then u:close() return why end
  u:send("hello")
  local name, e = u:receive() u:close()
  return name or e
end
for _, t in ipairs {%s} do print((t[1] == 6 and tcp or udp)(t[2], t[3])) end
"""

REFUSED = "connection refused"


@pytest.fixture(params=["caller", "user"])
def jailer(request: pytest.FixtureRequest, work: Path) -> Iterator[Jailer]:
    user = request.param == "user"
    if user and user_skip_reason():
        pytest.skip(str(user_skip_reason()))
    with Jailer(user=user) as made:
        yield made


def serve(jailer: Jailer, net: int, name: str, *ports: int) -> VM:
    vm = jailer.spawn(SERVER % (name, ", ".join(map(str, ports))), net=net, profile=RESTRICTED)
    assert vm.line() == "up"
    return vm


def attempt(jailer: Jailer, net: int, targets: list[tuple[int, str, int]], profile: int = FULL) -> list[str]:
    """A second VM in the net tries them all."""
    vm = jailer.spawn(CLIENT % ", ".join(f'{{{proto}, "{ip}", {port}}}' for proto, ip, port in targets), net=net, profile=profile)
    answers = [vm.line(10 + 0.5 * len(targets)) for _ in targets]
    jailer.kill(vm)
    return answers


@pytest.mark.parametrize("profile", [RESTRICTED, FULL])
def test_pair(jailer: Jailer, profile: int) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    serve(jailer, 2, "b", 8080, 9000)
    jailer.wire((1, 2, TCP, 8080), (1, 2, UDP, 9000))
    targets = [(TCP, other, 8080), (UDP, other, 9000), (TCP, other, 9000), (UDP, other, 8080), (TCP, other, 7), (UDP, other, 7)]
    assert attempt(jailer, 1, targets, profile) == ["b", "b", REFUSED, REFUSED, REFUSED, REFUSED]


def test_ports_below_1024_are_given_by_name(jailer: Jailer) -> None:
    """A VM binds the low port that it was given, and those above, and none below; another one none at all."""
    code = """local s = require "socket"
    for port in ("79 80 1023 1024"):gmatch("%d+") do print(port, (s.bind("*", tonumber(port)))  and "yes" or "no") end"""
    for net, low_port, first in ((1, 80, 80), (2, 0, 1024), (3, 1, 1)):
        jailer.attach(net, low_port=low_port)
        vm = jailer.spawn(code, net)
        for port in (79, 80, 1023, 1024):
            assert vm.line() == f"{port}\t{'yes' if port >= first else 'no'}"
        jailer.kill(vm)


def test_every_pair(jailer: Jailer) -> None:
    """What is wired works, and what is not wired is refused: each pair, both directions, two ports, two protocols."""
    nets, ports = range(1, 7), (1500, 40000)
    address = {net: jailer.attach(net) for net in nets}
    for net in nets:
        serve(jailer, net, f"vm{net}", *ports)
    every = [(a, b, proto, port) for a, b in itertools.permutations(nets, 2) for proto in (TCP, UDP) for port in ports]
    wired = set(random.Random(7).sample(every, len(every) // 4))
    jailer.wire(*wired)
    for net in nets:
        mine = [wire for wire in every if wire[0] == net]
        answers = attempt(jailer, net, [(proto, address[b], port) for _, b, proto, port in mine])
        assert answers == [f"vm{b}" if wire in wired else REFUSED for wire in mine for b in (wire[1],)]


def test_wires_come_and_go(jailer: Jailer) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    serve(jailer, 2, "b", 8080)
    target = [(TCP, other, 8080)]
    assert attempt(jailer, 1, target) == [REFUSED]
    jailer.wire((1, 2, TCP, 8080))
    assert attempt(jailer, 1, target) == ["b"]
    jailer.unwire((1, 2, TCP, 8080))
    assert attempt(jailer, 1, target) == [REFUSED]
    jailer.wire((2, 1, TCP, 8080))
    assert attempt(jailer, 1, target) == [REFUSED], "the other direction is another wire"


def test_a_removed_wire_cuts_what_is_connected(jailer: Jailer) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    serve_forever = "local s = require 'socket' local l = s.bind('*', 8080) print('up') local c = l:accept() " \
                    "while true do local line, e = c:receive() print(line or e) if not line then break end c:send(line .. '\\n') end"
    server = jailer.spawn(serve_forever, net=2)
    assert server.line() == "up"
    jailer.wire((1, 2, TCP, 8080))
    client = jailer.spawn(f"""
local s = require "socket" local c = s.tcp() c:connect("{other}", 8080) c:settimeout(5)
for i = 1, 1000000 do c:send("x\\n") local line, e = c:receive() if i == 1 then print(line) end if not line then print(e) break end s.sleep(0.01) end""", net=1)
    assert client.line() == "x"
    jailer.unwire((1, 2, TCP, 8080))
    assert client.line() in ("connection reset by peer", "closed", REFUSED, "Connection reset by peer")


def test_groups(jailer: Jailer) -> None:
    """All of one default network may talk to each other, and to nobody else."""
    group = {1: 7, 2: 7, 3: 8, 4: 8, 5: 0}
    address = {net: jailer.attach(net, number) for net, number in group.items()}
    for net in group:
        serve(jailer, net, f"vm{net}", 5000)
    for a in group:
        targets = [(proto, b) for b in group if b != a for proto in (TCP, UDP)]
        answers = attempt(jailer, a, [(proto, address[b], 5000) for proto, b in targets])
        assert answers == [f"vm{b}" if group[a] and group[a] == group[b] else REFUSED for _, b in targets]


def test_nobody_and_nowhere(jailer: Jailer, work: Path) -> None:
    """Neither an address without a VM, nor the next hop, nor the host, nor the world."""
    jailer.attach(1)
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        names = ["100.64.200.200", "192.0.0.8", "169.254.1.1", "127.0.0.1", "192.0.2.1", "8.8.8.8", "10.0.0.1", *host_addresses()]
        answers = attempt(jailer, 1, [(proto, name, port) for name in names for proto in (TCP, UDP)])
    assert set(answers[:4]) == {REFUSED}, "refused by the router, at once"
    assert set(answers) <= {REFUSED, "Network is unreachable"}, dict(zip(names, answers))


def host_addresses() -> list[str]:
    found = []
    for name in (socket.gethostname(), "localhost"):
        try:
            found += [entry[4][0] for entry in socket.getaddrinfo(name, None, socket.AF_INET)]
        except socket.gaierror:
            pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            found.append(probe.getsockname()[0])
        except OSError:
            pass
    return found


def test_restart_keeps_address_and_wires(jailer: Jailer) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    jailer.wire((1, 2, TCP, 8080))
    for round_ in range(3):
        server = serve(jailer, 2, f"life {round_}", 8080)
        assert attempt(jailer, 1, [(TCP, other, 8080)]) == [f"life {round_}"]
        jailer.kill(server)
        assert attempt(jailer, 1, [(TCP, other, 8080)]) == [REFUSED]


def test_connected_later(jailer: Jailer) -> None:
    """A VM that runs already gets its network, and keeps its state."""
    other = jailer.attach(2)
    serve(jailer, 2, "b", 8080)
    vm = jailer.spawn(f"""
local s = require "socket" local tries = 0
local function try() local c = s.tcp() c:settimeout(2) local ok, e = c:connect("{other}", 8080) return ok and c:receive() or e end
print(try())
local answer repeat tries = tries + 1 s.sleep(0.005) answer = try() until answer == "b" print(answer, tries > 0)""", net=1)
    assert vm.line() == "Network is unreachable"
    jailer.attach(1)
    jailer.wire((1, 2, TCP, 8080))
    assert vm.line() == "b\ttrue"


def test_dropped_nets_leave_nothing_to_the_next(jailer: Jailer) -> None:
    jailer.attach(1)
    first = jailer.attach(2)
    jailer.wire((1, 2, TCP, 8080), (2, 1, TCP, 8080))
    jailer.drop(2)
    again = jailer.attach(2)
    assert again != first
    serve(jailer, 2, "b", 8080)
    assert attempt(jailer, 1, [(TCP, again, 8080), (TCP, first, 8080)]) == [REFUSED, REFUSED]
    jailer.wire((1, 2, TCP, 8080))
    assert attempt(jailer, 1, [(TCP, again, 8080)]) == ["b"]


def test_a_hundred(jailer: Jailer) -> None:
    """A hub and a hundred others, each wired to it and not to each other."""
    address = {net: jailer.attach(net) for net in range(1, 102)}
    jailer.wire(*((net, 1, TCP, 7000) for net in range(2, 102)))
    jailer.wire(*((1, net, UDP, 7000) for net in range(2, 102)))
    serve(jailer, 1, "hub", 7000)
    for net in range(3, 102, 11):
        serve(jailer, net, f"vm{net}", 7000)
        assert attempt(jailer, net, [(TCP, address[1], 7000), (UDP, address[1], 7000), (TCP, address[2], 7000)]) == ["hub", REFUSED, REFUSED]
        assert attempt(jailer, 1, [(UDP, address[net], 7000), (TCP, address[net], 7000)]) == [f"vm{net}", REFUSED]


# ---- what the jailer refuses ----

def refused(jailer: Jailer, function: object, *args: object, **more: object) -> str:
    with pytest.raises(Refused) as caught:
        function(*args, **more)  # type: ignore[operator]
    return caught.value.text


def test_requests_that_make_no_sense(jailer: Jailer) -> None:
    jailer.attach(1)
    jailer.attach(2)
    assert "already" in refused(jailer, jailer.attach, 1)
    assert "no network" in refused(jailer, jailer.drop, 3)
    assert "not in" in refused(jailer, jailer.wire, (1, 3, TCP, 80))
    assert "no such wire" in refused(jailer, jailer.unwire, (1, 2, TCP, 80))
    jailer.wire((1, 2, TCP, 80))
    assert "already" in refused(jailer, jailer.wire, (1, 2, TCP, 80))
    assert "not in" in refused(jailer, jailer.shape, 1, 9, rate=1000000)
    jailer.unwire((1, 2, TCP, 80))


def test_all_of_a_list_or_none(jailer: Jailer) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    serve(jailer, 2, "b", 8080, 8081)
    jailer.wire((1, 2, TCP, 8081))
    refused(jailer, jailer.wire, (1, 2, TCP, 8080), (1, 2, TCP, 8081))
    assert attempt(jailer, 1, [(TCP, other, 8080), (TCP, other, 8081)]) == [REFUSED, "b"]
    refused(jailer, jailer.unwire, (1, 2, TCP, 8081), (1, 2, TCP, 8081))
    assert attempt(jailer, 1, [(TCP, other, 8081)]) == ["b"]


def test_a_message_that_bioxend_never_sends_ends_the_relation(jailer: Jailer) -> None:
    jailer.attach(1)
    vm = jailer.spawn("print('up') while true do end", net=1)
    assert vm.line() == "up"
    jailer.send(10, 0, 1, b"\xff" * 8)
    wait_for(lambda: jailer.process.poll() is not None, 10, "the jailer's end")


# ---- how a way behaves ----

def duration(jailer: Jailer, target: str) -> float:
    """Seconds that a megabyte takes from net 1 to net 2."""
    vm = jailer.spawn(f"""
local s = require "socket" local c = assert(s.connect("{target}", 8080)) local t = s.gettime()
c:send(("x"):rep(1 << 20)) c:shutdown("send") c:settimeout(60) c:receive() print(s.gettime() - t)""", net=1)
    seconds = float(vm.line(60))
    jailer.kill(vm)
    return seconds


SINK = """local s = require "socket" local l = s.bind("*", 8080) print("up")
while true do local c = l:accept() repeat local _, e, part = c:receive(65536) until e == "closed" c:send("done\\n") c:close() end"""


def test_rate(jailer: Jailer) -> None:
    jailer.attach(1)
    other = jailer.attach(2)
    sink = jailer.spawn(SINK, net=2)
    assert sink.line() == "up"
    jailer.wire((1, 2, TCP, 8080))
    free = duration(jailer, other)
    jailer.shape(1, 2, rate=int(16_000_000 / SLOW))
    slow = duration(jailer, other)
    assert 0.35 * SLOW < slow, (free, slow)
    jailer.shape(1, 2, rate=int(32_000_000 / SLOW))
    assert min(duration(jailer, other) for _ in range(3)) < slow * 0.9  # a busy machine is slow by itself
    jailer.shape(1, 2)
    assert min(duration(jailer, other) for _ in range(3)) < 0.35 * SLOW


def has_module(name: str) -> bool:
    place = Path("/lib/modules", os.uname().release)
    return any(f"/{name}.ko" in file.read_text() for file in map(place.joinpath, ("modules.dep", "modules.builtin")) if file.exists())


def test_delay_needs_netem(jailer: Jailer) -> None:
    """Where the kernel has it the delay is felt; elsewhere the error names what is missing, and nothing was changed."""
    jailer.attach(1)
    other = jailer.attach(2)
    sink = jailer.spawn(SINK, net=2)
    assert sink.line() == "up"
    jailer.wire((1, 2, TCP, 8080))
    try:
        jailer.shape(1, 2, delay_us=100_000)
    except Refused as error:
        assert "sch_netem" in error.text and error.code == 95 and not has_module("sch_netem")
        assert duration(jailer, other) < 0.1 * 10
    else:
        assert duration(jailer, other) > 0.1


def test_loss_needs_netem(jailer: Jailer) -> None:
    """The same for loss: of a hundred datagrams about thirty are missing, and then none any more."""
    jailer.attach(1)
    other = jailer.attach(2)
    sink = jailer.spawn("""local u = require "socket".udp4() u:setsockname("*", 8080) print("up") while true do print((u:receive())) end""", net=2)
    assert sink.line() == "up"
    jailer.wire((1, 2, UDP, 8080))

    def arrived(word: str) -> int:
        """How many of a hundred; what comes last is not lost."""
        say = f"""local u = require "socket".udp4() u:setpeername("{other}", 8080) for i = 1, %d do u:send("%s") end print("sent")"""
        vm = jailer.spawn(say % (100, word), net=1)
        assert vm.line() == "sent"
        jailer.kill(vm)
        jailer.shape(1, 2)
        last = jailer.spawn(say % (1, "last"), net=1)
        assert last.line() == "sent"
        return list(iter(sink.line, "last")).count(word)

    try:
        jailer.shape(1, 2, loss_ppm=300_000)
    except Refused as error:
        assert "sch_netem" in error.text and error.code == 95 and not has_module("sch_netem")
        assert arrived("lossy") == 100
    else:
        assert 45 <= arrived("lossy") <= 95
        assert arrived("whole") == 100
