"""Runs a function inside a network namespace, with every privilege there: what a VM could do at worst."""

from __future__ import annotations

import ctypes
import os
import pickle
import socket
import struct
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def enter(path: str | Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


@contextmanager
def within(path: str | Path) -> Iterator[None]:
    """This thread is there for a while; sockets that are made meanwhile stay there."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(path)
        yield
    finally:
        if _libc.setns(here, CLONE_NEWNET) != 0:
            os._exit(99)
        os.close(here)


def run_in(path: str | Path, function: Callable[..., Any], *args: Any) -> Any:
    """In a child, so that it does not matter what it leaves behind."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            enter(path)
            answer = (True, function(*args))
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(write, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as source:
        data = source.read()
    os.waitpid(pid, 0)
    well, value = pickle.loads(data)
    if not well:
        raise AssertionError(value)
    return value


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source: str, target: str, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, ttl, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp_packet(source: str, target: str, sport: int, dport: int, data: bytes) -> bytes:
    return ip_packet(source, target, 17, struct.pack("!4H", sport, dport, 8 + len(data), 0) + data)


def tcp_packet(source: str, target: str, sport: int, dport: int, flags: int) -> bytes:
    head = struct.pack("!2H2I2B3H", sport, dport, 1000, 0, 5 << 4, flags, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!2BH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    return ip_packet(source, target, 6, head)


def echo_request(source: str, target: str) -> bytes:
    head = struct.pack("!2B3H", 8, 0, 0, 77, 1) + b"ping"
    return ip_packet(source, target, 1, head[:2] + struct.pack("!H", checksum(head)) + head[4:])


def send_packet(packet: bytes, target: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        raw.sendto(packet, (target, 0))


ETHERNET = bytes.fromhex("020000000001") + bytes.fromhex("020000000002")  # from a VM's end to the router's


def send_frame(kind: int, payload: bytes, target: bytes = ETHERNET[:6]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind(("eth0", 0))
        packet.send(target + ETHERNET[6:] + struct.pack("!H", kind) + payload)


class Sniffer:
    """Everything that arrives at an interface of a namespace."""

    def __init__(self, path: str | Path, interface: str = "eth0") -> None:
        with within(path):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((interface, 3))
        self.socket.settimeout(0.02)

    def frames(self) -> list[bytes]:
        found = []
        try:
            while True:
                data, (_, _, kind, *_) = self.socket.recvfrom(65536)
                if kind != 4:  # outgoing
                    found.append(data)
        except TimeoutError:
            return found

    def close(self) -> None:
        self.socket.close()
