"""Speaks to bioxen-jailer as bioxend does: for tests of what only the link can ask for.

VMs made here run a script of the test build (native probe); what they print comes back line by line.
"""

from __future__ import annotations

import array
import ipaddress
import os
import selectors
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from typing import Iterator

import hostview
from bxrun import USER_ID, build_directory
from waiting import SLOW

MAGIC = 0x314A5842
SPAWN, KILL, SHUTDOWN, ATTACH, DROP, WIRES, SHAPE = 1, 2, 3, 8, 9, 10, 11
SPAWNED, FAILED, DEATH, NET_DONE, NET_FAILED = 64, 65, 66, 72, 73
HEAD = struct.Struct("<4I")
SPAWN_FIXED = struct.Struct("<3Q4I3Bx2I4x64s")
BODY = SPAWN_FIXED.size + 16 * 136
REPLY_BODY = 264
WIRE = struct.Struct("<2IH2B")
WIRES_MAX = 160
SHAPE_BODY = struct.Struct("<2IQ4I")
TCP, UDP = 6, 17

LIFELINE = struct.Struct("<2IQqII")
LIFELINE_MAGIC = 0x314C5842
SPEC, READY, DONE, FATAL = 1, 64, 66, 67
FULL, RESTRICTED = 1, 0


class Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (errno {code})")
        self.code, self.text = code, text


@dataclass
class Reply:
    type: int
    vm: int
    tag: int
    body: bytes

    @property
    def failure(self) -> Refused:
        code, text = struct.unpack("<i256s", self.body[:260])
        return Refused(code, text.rstrip(b"\0").decode())


def program(text: str) -> int:
    """A memfd with a program, as program.h lays it out: [chunk, [arguments], {environment}]."""
    head = b"\x93" + b"\xa5=test" + b"\x91\xa4test" + b"\x80"
    bytes_ = struct.pack("<2IQ", 0x31505842, len(head), len(text.encode())) + head + text.encode()
    fd = os.memfd_create("program")
    os.write(fd, bytes_)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@dataclass
class VM:
    jailer: "Jailer"
    number: int
    net: int
    lifeline: socket.socket
    out: int
    pid: int = 0
    buffer: bytes = b""
    ended: bool = False

    def line(self, seconds: float = 10) -> str:
        """The next line that it prints."""
        deadline = time.monotonic() + seconds * SLOW
        with selectors.DefaultSelector() as ready:
            ready.register(self.out, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise AssertionError(f"VM {self.number} printed no line in time; so far {self.buffer!r}")
                got = os.read(self.out, 65536)
                if not got:
                    raise AssertionError(f"VM {self.number} ended; last words {self.buffer!r}, {self.frames()}")
                self.buffer += got
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """What it said over the lifeline so far."""
        found = []
        while True:
            try:
                bytes_ = self.lifeline.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            if not bytes_:
                return found
            _, type_, a, b, _, _ = LIFELINE.unpack(bytes_[:LIFELINE.size])
            found.append((type_, a, b, bytes_[LIFELINE.size:]))

    def close(self) -> None:
        self.lifeline.close()
        os.close(self.out)


@dataclass
class Jailer:
    user: bool = False
    tag: int = 0
    number: int = 0
    waiting: list[Reply] = field(default_factory=list)
    vms: dict[int, VM] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link = ours
        line = [str(build_directory() / "bioxen-jailer"), "--link-fd", "3"]
        if self.user:
            line = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", "--", *line]

        def descriptors() -> None:
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen(line, preexec_fn=descriptors, pass_fds=(3,), stdin=subprocess.DEVNULL)
        hostview.started(self.process.pid)
        theirs.close()

    def __enter__(self) -> "Jailer":
        return self

    def __exit__(self, *error: object) -> None:
        self.link.close()
        for vm in self.vms.values():
            vm.close()
        self.process.wait(10 * SLOW)

    # ---- messages ----

    def send(self, type_: int, vm: int, tag: int, body: bytes, fds: list[int] | None = None) -> None:
        message = HEAD.pack(MAGIC, type_, vm, tag) + body.ljust(BODY, b"\0")
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.link.sendmsg([message], control)

    def receive(self, seconds: float = 10) -> Reply:
        self.link.settimeout(seconds * SLOW)
        bytes_ = self.link.recv(65536)
        if not bytes_:
            raise AssertionError("the jailer is gone")
        magic, type_, vm, tag = HEAD.unpack(bytes_[:HEAD.size])
        assert magic == MAGIC and len(bytes_) == HEAD.size + REPLY_BODY
        return Reply(type_, vm, tag, bytes_[HEAD.size:])

    def wait(self, types: tuple[int, ...], vm: int = 0, tag: int = 0) -> Reply:
        for i, reply in enumerate(self.waiting):
            if reply.type in types and reply.vm == vm and reply.tag == tag:
                return self.waiting.pop(i)
        while True:
            reply = self.receive()
            if reply.type in types and reply.vm == vm and reply.tag == tag:
                return reply
            self.waiting.append(reply)

    def ask(self, type_: int, number: int, body: bytes) -> Reply:
        self.tag += 1
        self.send(type_, number, self.tag, body)
        reply = self.wait((NET_DONE, NET_FAILED), number, self.tag)
        if reply.type == NET_FAILED:
            raise reply.failure
        return reply

    # ---- what bioxend asks ----

    def spawn(self, code: str, net: int = 0, profile: int = FULL, memory: int = 64 << 20) -> VM:
        self.number += 1
        out_r, out_w = os.pipe()
        life, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        tmp = (1 << 20, 64) if profile == FULL else (0, 0)
        body = SPAWN_FIXED.pack(memory, 0, tmp[0], tmp[1], 16, 1000, 0, profile, 0, 0, net, 0, b"vm")
        self.send(SPAWN, self.number, 0, body, [out_w, out_w, inner.fileno()])
        text = program(code)
        life.sendmsg([LIFELINE.pack(LIFELINE_MAGIC, SPEC, 32 << 20, 0, 0, 0)],
                     [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [text]))])
        for fd in (out_w, text):
            os.close(fd)
        inner.close()
        vm = VM(self, self.number, net, life, out_r)
        reply = self.wait((SPAWNED, FAILED), self.number)
        if reply.type == FAILED:
            vm.close()
            raise reply.failure
        vm.pid = struct.unpack("<i", reply.body[:4])[0]
        self.vms[vm.number] = vm
        return vm

    def kill(self, vm: VM) -> None:
        self.send(KILL, vm.number, 0, b"")
        self.wait((DEATH,), vm.number)
        self.vms.pop(vm.number).close()

    def attach(self, net: int, group: int = 0, low_port: int = 0) -> str:
        reply = self.ask(ATTACH, net, struct.pack("<2I", group, low_port))
        return str(ipaddress.ip_address(struct.unpack("<I", reply.body[:4])[0]))

    def drop(self, net: int) -> None:
        self.ask(DROP, net, b"")

    def wire(self, *wires: tuple[int, int, int, int], on: int = 1) -> None:
        """Each is (from, to, protocol, port)."""
        for first in range(0, len(wires), WIRES_MAX):
            some = wires[first:first + WIRES_MAX]
            body = struct.pack("<2I", len(some), 0) + b"".join(WIRE.pack(a, b, port, proto, on) for a, b, proto, port in some)
            self.ask(WIRES, 0, body)

    def unwire(self, *wires: tuple[int, int, int, int]) -> None:
        self.wire(*wires, on=0)

    def shape(self, source: int, target: int, rate: int = 0, delay_us: int = 0, jitter_us: int = 0, loss_ppm: int = 0) -> None:
        self.ask(SHAPE, 0, SHAPE_BODY.pack(source, target, rate, delay_us, jitter_us, loss_ppm, 0))
