"""The private network against whoever has every privilege inside a VM's network namespace, which no VM has."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Callable, Iterator

import pytest

import hostview
import netns
from jailer import TCP, UDP, VM, Jailer
from waiting import wait_for

pytestmark = [pytest.mark.root, pytest.mark.probe]

IDLE = "print('up') while true do require('socket').sleep(100) end"
PORT = 7000


class World:
    """Three VMs: the first may reach the second by UDP and TCP, the third may reach nobody and is reached by nobody."""

    def __init__(self, jailer: Jailer) -> None:
        self.jailer = jailer
        self.address = {net: jailer.attach(net) for net in (1, 2, 3)}
        self.vm = {net: jailer.spawn(IDLE, net=net) for net in self.address}
        for vm in self.vm.values():
            assert vm.line() == "up"
        jailer.wire((1, 2, UDP, PORT), (1, 2, TCP, PORT))

    def ns(self, net: int) -> str:
        return f"/proc/{self.vm[net].pid}/ns/net"

    def router(self) -> str:
        """The namespace that the jailer holds and that none of the VMs is in."""
        of_vms = {os.readlink(self.ns(net)) for net in self.vm}
        folder = f"/proc/{self.jailer.process.pid}/fd"
        return next(f"{folder}/{fd}" for fd in os.listdir(folder)
                    if os.readlink(f"{folder}/{fd}").startswith("net:") and os.readlink(f"{folder}/{fd}") not in of_vms)

    def arrives(self, source: int, target: int, packets: list[bytes]) -> list[bytes]:
        """What the target sees of packets that the source sends; one that is allowed is sent last, and must arrive."""
        sniffer = netns.Sniffer(self.ns(target))
        mark = netns.udp_packet(self.address[1], self.address[2], 1, PORT, b"the last one")

        def send() -> None:
            for packet in packets:
                netns.send_packet(packet, socket.inet_ntoa(packet[16:20]))

        try:
            netns.run_in(self.ns(source), allow_all_routes)
            netns.run_in(self.ns(source), send)
            seen: list[bytes] = []
            if target == 2:
                netns.run_in(self.ns(1), netns.send_packet, mark, self.address[2])
                wait_for(lambda: seen.extend(sniffer.frames()) or any(b"the last one" in f for f in seen), 5, "the mark")
            else:
                seen = sniffer.frames()
            return [frame for frame in seen if b"the last one" not in frame]
        finally:
            sniffer.close()


def allow_all_routes() -> None:
    os.system("ip route replace default via 169.254.1.1 dev eth0 onlink")


@pytest.fixture
def world(work: Path) -> Iterator[World]:
    with Jailer() as jailer:
        yield World(jailer)


def test_the_way_that_is_wired_works(world: World) -> None:
    packet = netns.udp_packet(world.address[1], world.address[2], 5, PORT, b"hello")
    assert any(b"hello" in frame for frame in world.arrives(1, 2, [packet]))


def forged(world: World) -> dict[str, bytes]:
    """Packets that the third VM sends; with the address of the first they would be allowed."""
    one, two, three = (world.address[net] for net in (1, 2, 3))
    return {
        "udp, another's address": netns.udp_packet(one, two, 5, PORT, b"forged"),
        "tcp, another's address": netns.tcp_packet(one, two, 5, PORT, 2),
        "its own address": netns.udp_packet(three, two, 5, PORT, b"forged"),
        "the target's address": netns.udp_packet(two, two, 5, PORT, b"forged"),
        "loopback": netns.udp_packet("127.0.0.1", two, 5, PORT, b"forged"),
        "nobody's address": netns.udp_packet("100.64.99.1", two, 5, PORT, b"forged"),
        "any address": netns.udp_packet("0.0.0.0", two, 5, PORT, b"forged"),
        "the refuser's address": netns.udp_packet("192.0.0.8", two, 5, PORT, b"forged"),
        "broadcast": netns.udp_packet(three, "255.255.255.255", 5, PORT, b"forged"),
        "multicast": netns.udp_packet(three, "224.0.0.1", 5, PORT, b"forged"),
        "ping": netns.echo_request(three, two),
        "an answer to nothing": netns.udp_packet(three, two, PORT, 5, b"forged"),
        "tcp, no SYN": netns.tcp_packet(three, two, PORT, 5, 0x10),
        "tcp, reset": netns.tcp_packet(three, two, PORT, 5, 0x04),
        "sctp": netns.ip_packet(three, two, 132, b"forged" * 4),
        "gre": netns.ip_packet(three, two, 47, b"forged" * 4),
        "ip in ip": netns.ip_packet(three, two, 4, netns.udp_packet(one, two, 5, PORT, b"forged")),
        "icmp error about another's connection": netns.ip_packet(
            three, two, 1, struct.pack("!2BHI", 3, 3, 0, 0) + netns.udp_packet(two, one, PORT, 5, b"forged")),
        "redirect": netns.ip_packet(three, two, 1, struct.pack("!2BH4s", 5, 1, 0, b"\x64\x40\0\3")
                                    + netns.udp_packet(two, one, 5, 5, b"forged")),
        "expired": netns.ip_packet(three, two, 17, struct.pack("!4H", 5, PORT, 8, 0), ttl=1),
    }


def test_forged_packets_do_not_arrive(world: World) -> None:
    for what, packet in forged(world).items():
        assert world.arrives(3, 2, [packet]) == [], what


def test_the_wire_is_one_way_and_one_port(world: World) -> None:
    one, two = world.address[1], world.address[2]
    for what, packet in {
        "another port": netns.udp_packet(one, two, 5, PORT + 1, b"x"),
        "ping": netns.echo_request(one, two),
        "another's address": netns.udp_packet(world.address[3], two, 5, PORT, b"x"),
    }.items():
        assert world.arrives(1, 2, [packet]) == [], what
    assert world.arrives(2, 1, [netns.udp_packet(two, one, 5, PORT, b"x"), netns.tcp_packet(two, one, 5, PORT, 2)]) == []


def test_fragments(world: World) -> None:
    """The second half of a packet whose first half was refused, or that overlaps, gets no further."""
    three, two = socket.inet_aton(world.address[3]), socket.inet_aton(world.address[2])

    def fragment(offset: int, more: bool, data: bytes) -> bytes:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 9, (more << 13) | offset, 64, 17, 0, three, two)
        return head[:10] + struct.pack("!H", netns.checksum(head)) + head[12:] + data

    udp = struct.pack("!4H", 5, PORT, 24, 0) + b"0123456789abcdef"
    assert world.arrives(3, 2, [fragment(1, False, udp[8:]), fragment(0, True, udp[:8])]) == []


def test_no_arp_and_no_other_protocol(world: World) -> None:
    """Frames that are not IPv4 neither get an answer nor arrive anywhere."""
    sniffer = netns.Sniffer(world.ns(3)), netns.Sniffer(world.ns(2))
    request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, netns.ETHERNET[6:], socket.inet_aton(world.address[3]),
                          bytes(6), socket.inet_aton("169.254.1.1"))

    def send() -> None:
        netns.send_frame(0x0806, request, b"\xff" * 6)
        netns.send_frame(0x0806, request[:24] + socket.inet_aton(world.address[2]))
        netns.send_frame(0x86DD, b"\x60" + bytes(5) + b"\x3a\xff" + bytes(16) + socket.inet_pton(socket.AF_INET6, "ff02::1"))
        netns.send_frame(0x88CC, b"link layer discovery" * 3)
        netns.send_frame(0x8100, struct.pack("!HH", 5, 0x0800) + netns.udp_packet(world.address[1], world.address[2], 5, PORT, b"vlan"))

    netns.run_in(world.ns(3), send)
    world.arrives(1, 2, [])  # whatever was on its way has arrived
    for one in sniffer:
        assert [frame for frame in one.frames() if b"the last one" not in frame] == []
        one.close()


def test_no_ipv6(world: World) -> None:
    for path in (world.ns(1), world.router()):
        text = netns.run_in(path, lambda: os.popen("ip -6 addr show scope link; ip -6 addr show scope global").read())
        assert text == "", text


def test_the_router_has_no_address_and_no_socket(world: World) -> None:
    addresses = netns.run_in(world.router(), lambda: os.popen("ip -4 -o addr").read())
    assert [line.split()[3] for line in addresses.splitlines()] == ["127.0.0.1/8"]
    assert netns.run_in(world.router(), lambda: os.popen("ss -Htuln").read()) == ""
    links = netns.run_in(world.router(), lambda: os.popen("ip -o link").read())
    assert sorted(line.split()[1].split("@")[0].rstrip(":") for line in links.splitlines()) == ["lo", "v1", "v2", "v3"]


def test_no_link_to_the_host(world: World) -> None:
    """The host's namespace has got no interface, and no VM sees one of the host's."""
    here = os.readlink("/proc/self/ns/net")
    assert here not in {os.readlink(world.ns(net)) for net in (1, 2, 3)} | {os.readlink(world.router())}
    names = os.listdir("/sys/class/net")
    assert not [name for name in names if name in ("v1", "v2", "v3")]
    links = netns.run_in(world.ns(1), lambda: os.popen("ip -o link").read())
    assert sorted(line.split()[1].split("@")[0].rstrip(":") for line in links.splitlines()) == ["eth0", "lo"]


def test_answers_come_back_only_to_who_asked(world: World) -> None:
    """The third VM cannot take part in a connection of the first: neither by guessing its ports nor by its address."""
    one, two = world.address[1], world.address[2]
    world.arrives(1, 2, [netns.udp_packet(one, two, 5, PORT, b"begin")])
    assert world.arrives(3, 1, [netns.udp_packet(two, one, PORT, 5, b"forged answer")]) == []
    back = world.arrives(2, 1, [netns.udp_packet(two, one, PORT, 5, b"the answer")])
    assert any(b"the answer" in frame for frame in back)


def test_a_dropped_net_is_cut_off_though_its_vm_lives(world: World) -> None:
    one, two = world.address[1], world.address[2]
    world.jailer.drop(1)
    sniffer = netns.Sniffer(world.ns(2))
    netns.run_in(world.ns(1), netns.send_packet, netns.udp_packet(one, two, 5, PORT, b"still here"), two)
    assert sniffer.frames() == []
    sniffer.close()


def interfaces(path: str) -> set[str]:
    return set(netns.run_in(path, lambda: os.popen("ip -o link").read().split()))


def test_dropping_removes_the_interface(world: World) -> None:
    router = world.router()
    world.jailer.kill(world.vm.pop(3))
    world.jailer.drop(3)
    wait_for(lambda: "v3@if2:" not in interfaces(router), 10, "the end of the interface")
    assert "v2@if2:" in interfaces(router)


def test_each_vm_is_where_it_belongs(world: World) -> None:
    """Nets and VMs without a network, made in every order: nobody is born in a namespace of somebody else's."""
    jailer = world.jailer
    found = {f"net {net}": os.readlink(world.ns(net)) for net in world.vm}

    def note(label: str, vm: VM) -> None:
        assert vm.line() == "up"
        found[label] = os.readlink(f"/proc/{vm.pid}/ns/net")

    note("without 1", jailer.spawn("print('up') while true do end"))
    jailer.attach(4)
    note("without 2", jailer.spawn("print('up') while true do end"))
    again = jailer.spawn(IDLE, net=2)
    assert again.line() == "up" and os.readlink(f"/proc/{again.pid}/ns/net") == found["net 2"]
    note("without 3", jailer.spawn("print('up') while true do end"))
    note("net 5", jailer.spawn(IDLE, net=5))
    note("net 4", jailer.spawn(IDLE, net=4))
    note("without 4", jailer.spawn("print('up') while true do end"))
    jailer.attach(5)
    jailer.drop(5)
    note("net 6", jailer.spawn(IDLE, net=6))
    note("without 5", jailer.spawn("print('up') while true do end"))
    assert len(set(found.values())) == len(found), found
    assert os.readlink("/proc/self/ns/net") not in found.values()


@pytest.mark.parametrize("victim", ["jailer", "everybody", "vm"])
def test_nothing_is_left_after_kill(work: Path, victim: str) -> None:
    """Namespaces of the network have no name; no process and no descriptor keeps them."""
    with Jailer() as jailer:
        world = World(jailer)
        inodes = {os.readlink(world.ns(net)) for net in world.vm} | {os.readlink(world.router())}
        killed: list[int] = {"jailer": [jailer.process.pid], "vm": [world.vm[2].pid],
                             "everybody": [jailer.process.pid] + [p.pid for p in hostview.descendants(jailer.process.pid)]}[victim]
        for pid in killed:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
    wait_for(lambda: not inodes & holders(), 10, "the end of every namespace")
    Jailer().__exit__()  # the next one sweeps what is left when the janitor was killed, too
    assert not Path("/run/netns").exists() or not os.listdir("/run/netns")


def holders() -> set[str]:
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        for link in (f"/proc/{name}/ns/net", *fds(name)):
            try:
                found.add(os.readlink(link))
            except OSError:
                pass
    return found


def fds(name: str) -> list[str]:
    try:
        return [f"/proc/{name}/fd/{fd}" for fd in os.listdir(f"/proc/{name}/fd")]
    except OSError:
        return []
