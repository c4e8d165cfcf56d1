"""What the corpus wants to find on the host: files, sockets and a process that a script must not reach."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

SECRETS = (Path("/tmp/luavm-canary-secret"), Path("/tmp/luavm-canary-secret-2"))
DIRECTORY = Path("/tmp/luavm-canary-dir")
UNIX = "/tmp/luavm-canary.sock"
TEXT = "luavm canary: a file of the host\n"
ENVIRONMENT = {"LUAVM_CANARY": "leak"}


class Canaries:
    """Set up once for a worker; `touched` tells what a script got at."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.sockets: list[socket.socket] = []
        self.stop = threading.Event()
        # One set of canaries for the host: another worker or test run waits for its turn.
        self.lock = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.strangers = {path.name for path in Path("/tmp").glob("luavm*")}  # somebody else's, from before
        for path in SECRETS:
            path.write_text(TEXT)
            path.chmod(0o644)
        DIRECTORY.mkdir(exist_ok=True)
        self.listen(socket.AF_INET, ("0.0.0.0", 47011))
        self.listen(socket.AF_INET6, ("::1", 47011))
        self.listen(socket.AF_INET, ("127.0.0.1", 47))
        Path(UNIX).unlink(missing_ok=True)
        self.listen(socket.AF_UNIX, UNIX)
        self.listen(socket.AF_UNIX, "\0luavm-canary")
        self.process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", "luavm_canary"], stdin=subprocess.PIPE)
        self.client = threading.Thread(target=self.knock, daemon=True)
        self.client.start()

    def listen(self, family: int, address: object) -> None:
        try:
            listener = socket.socket(family)
            if family != socket.AF_UNIX:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)  # type: ignore[arg-type]
            listener.listen(16)
        except OSError:
            return  # a host without IPv6, or a port below 1024 for an ordinary user
        self.sockets.append(listener)
        threading.Thread(target=self.greet, args=(listener,), daemon=True).start()

    def greet(self, listener: socket.socket) -> None:
        while True:
            try:
                guest, _ = listener.accept()
            except OSError:
                return
            self.hits.append(f"a connection to {listener.getsockname()!r}")
            try:
                guest.sendall(b"luavm canary\n")
                guest.close()
            except OSError:
                pass

    def knock(self) -> None:
        """Something on the host that connects to 127.0.0.1:47012 all the time."""
        while not self.stop.wait(0.1):
            try:
                with socket.create_connection(("127.0.0.1", 47012), timeout=0.1) as found:
                    # a port that nobody listens on may be given to the caller itself, which then meets itself
                    if found.getsockname() != found.getpeername():
                        self.hits.append("a listener of a VM on 127.0.0.1:47012 of the host")
            except OSError:
                pass

    def touched(self) -> list[str]:
        found, self.hits = self.hits, []
        found += [f"{path} was changed" for path in SECRETS if not path.exists() or path.read_text() != TEXT]
        found += [f"{path} appeared" for path in Path("/tmp").glob("luavm*") if path.name not in self.expected() | self.strangers]
        if os.listdir(DIRECTORY):
            found.append(f"something in {DIRECTORY}")
        if self.process.poll() is not None:
            found.append("the canary process is dead")
        return found

    @staticmethod
    def expected() -> set[str]:
        return {path.name for path in (*SECRETS, DIRECTORY)} | {"luavm-canary.sock"}

    def close(self) -> None:
        self.stop.set()
        self.client.join()
        for listener in self.sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for path in (*SECRETS, Path(UNIX)):
            path.unlink(missing_ok=True)
        DIRECTORY.rmdir()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        os.close(self.lock)
