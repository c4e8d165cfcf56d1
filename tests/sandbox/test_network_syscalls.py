"""The syscall filter of a VM that has sockets, judged as if the script were native code in its process."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from bxrun import Bioxen
from native import CALLS, Call, attempt, not_refused, plain
from test_syscalls import ROWS, variants

pytestmark = [pytest.mark.probe, pytest.mark.skipif(platform.machine() != "x86_64", reason="the call numbers are those of x86-64")]

FABRIC = ("--network", "fabric")
# family, type, protocol: streams and datagrams over IPv4, and nothing else
OPEN = [(2, 1, 0), (2, 1, 6), (2, 2, 0), (2, 2, 17), (2, 0x80001, 6), (2, 0x800 | 2, 0)]
DOORS = ("connect", "bind", "listen")  # these are open here; what they lead to is the router's to say


@pytest.mark.parametrize("row", ROWS)
def test_row(bx: Bioxen, profile: str, row: str) -> None:
    """Everything that other VMs are refused is refused here too, but for sockets of IPv4."""
    calls = [call for call in ROWS[row] if call.label not in DOORS and call.label not in {c.label for c in variants("socket", *OPEN)}]
    bad = not_refused(attempt(bx, profile, calls, *FABRIC))
    assert not bad, bad


SHUT = [(2, kind, protocol) for kind in (1, 2, 3, 4, 5, 6, 10) for protocol in (0, 1, 2, 6, 17, 33, 47, 50, 58, 132, 136, 255, 262)
        if (2, kind, protocol) not in OPEN] + [(2, 1 | 0x10, 0), (2, 2 | 1 << 31, 0), (2 | 1 << 16, 1, 0)]


def test_kinds_of_sockets(bx: Bioxen, profile: str) -> None:
    found = attempt(bx, profile, variants("socket", *OPEN), *FABRIC)
    assert all(value.startswith("ok") for value in found.values()), found
    bad = not_refused(attempt(bx, profile, variants("socket", *SHUT), *FABRIC))
    assert not bad, bad


def option_calls(name: str, wanted: set[tuple[int, int]], levels: dict[int, int]) -> tuple[list[Call], list[Call]]:
    """Every option of these levels, on a TCP socket that is made first: those that are open, and the others."""
    tail = ', p.buffer(64), 64' if name == "setsockopt" else ', p.buffer(64), "\\64\\0\\0\\0"'
    every = [(level, option) for level, most in levels.items() for option in range(most)]
    calls = {(level, option): Call(f"{name} {level} {option}", f'p.call({CALLS[name]}, s, {level}, {option}{tail})') for level, option in every}
    return [calls[pair] for pair in every if pair in wanted], [calls[pair] for pair in every if pair not in wanted]


LEVELS = {0: 260, 1: 85, 6: 48, 17: 110, 41: 100, 132: 20, 263: 12, 271: 8, 282: 8, 283: 4, 284: 5}
BOTH = {(1, 2), (1, 15), (1, 9), (1, 13), (1, 7), (1, 8), (6, 1), (6, 4), (6, 5), (6, 6)}


@pytest.mark.parametrize("name, wanted", [("setsockopt", BOTH), ("getsockopt", BOTH | {(1, 4)})])
def test_options_of_sockets(bx: Bioxen, profile: str, name: str, wanted: set[tuple[int, int]]) -> None:
    """Pairs of level and option: TCP_ULP, filters, devices, multicast, credentials of the peer, ... are not among them."""
    made = [Call("s", f"(function() s = p.call({CALLS['socket']}, 2, 1, 0) return s end)()")]
    open_, shut = option_calls(name, wanted, LEVELS)
    reached = not_refused(attempt(bx, profile, made + open_, *FABRIC))
    assert set(reached) == {"s", *(call.label for call in open_)}
    bad = not_refused(attempt(bx, profile, made + shut, *FABRIC))
    assert set(bad) == {"s"}, bad


def test_flags(bx: Bioxen, profile: str) -> None:
    """No error queue, no zero copy, no fast open; F_SETFL knows O_NONBLOCK only."""
    made = [Call("s", f"(function() s = p.call({CALLS['socket']}, 2, 2, 0) return s end)()")]
    calls = [Call(f"sendto {flags:#x}", f'p.call({CALLS["sendto"]}, s, "x", 1, {flags}, 0, 0)') for flags in (0x20000000, 0x4000000, 0x1, 0x8000, 0x800)]
    calls += [Call(f"recvfrom {flags:#x}", f'p.call({CALLS["recvfrom"]}, s, p.buffer(64), 64, {flags}, 0, 0)') for flags in (0x2000, 0x1, 0x100, 0x40000000)]
    calls += [Call(f"setfl {flags:#o}", f'p.call({CALLS["fcntl"]}, s, 4, {flags})') for flags in (0o20000, 0o40000, 0o2000000, 0o10000)]
    assert set(not_refused(attempt(bx, profile, made + calls, *FABRIC))) == {"s"}


def test_handed_sockets_cannot_take_a_name_of_the_host(bx: Bioxen, profile: str) -> None:
    """The lifeline is a Unix socket of the host's: bound by native code it would be seen, and in the way, out there."""
    name = f"bioxen-test-{os.getpid()}"
    code = f'p.call({CALLS["bind"]}, 3, "\\1\\0\\0{name}", {3 + len(name)})'
    assert attempt(bx, profile, [Call("bind", code)], *FABRIC)["bind"] == "EINVAL"
    assert name not in Path("/proc/net/unix").read_text()


@pytest.mark.parametrize("profile, most", [("restricted", 42), ("full", 60)])
def test_how_many_calls_are_reachable(bx: Bioxen, profile: str, most: int) -> None:
    endings = {15: "rt_sigreturn", 60: "exit", 231: "exit_group", 34: "pause"}
    kernel_lets_pass = {335, 336}
    calls = [plain(name, 1) for name in ("close", "poll") if name in CALLS]
    calls += [Call(str(n), f"p.call({n}, -1, 0, 0, 0, 0, 0)") for n in range(0, 471) if n not in endings and n not in kernel_lets_pass and n not in (3, 7)]
    reachable = sorted(not_refused(attempt(bx, profile, calls, *FABRIC)))
    assert len(reachable) + len(endings) + 2 <= most, reachable


def test_own_network_cannot_be_changed(bx: Bioxen, profile: str) -> None:
    """Neither ioctl nor netlink is there; and the namespace is not the VM's in any case."""
    made = [Call("s", f"(function() s = p.call({CALLS['socket']}, 2, 2, 0) return s end)()")]
    calls = [Call(f"ioctl {command:#x}", f'p.call({CALLS["ioctl"]}, s, {command}, p.buffer(256))') for command in range(0x8900, 0x8A00)]
    assert set(not_refused(attempt(bx, profile, made + calls, *FABRIC))) == {"s"}


@pytest.mark.parametrize("port", [1, 80, 1023])
def test_privileged_ports(bx: Bioxen, profile: str, port: int) -> None:
    result = bx.eval(f'print(require("socket").tcp4():bind("*", {port}))', "--profile", profile, *FABRIC)
    assert result.out == b"nil\tpermission denied\n", result
