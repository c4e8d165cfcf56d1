"""Starts bioxen for a test, as the caller or as an ordinary user, and tells how it ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Iterator, Union

import hostview
from hostview import Process
from waiting import SLOW, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
USER_ID = 1234  # an ordinary user without a name, a home or a group
Argument = Union[str, bytes, Path]


def build_directory() -> Path:
    named = os.environ.get("BIOXEN_BUILD")
    if named:
        return Path(named).resolve()
    test_build = REPOSITORY / "build" / "test"
    return test_build if (test_build / "bioxen").exists() else REPOSITORY / "build"


def has_native_probe() -> bool:
    return build_directory().name == "test"


@dataclass(frozen=True)
class Result:
    status: int  # as subprocess has it: negative for a signal
    out: bytes
    err: bytes
    seconds: float
    report: dict[str, Any] | None

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "backslashreplace")

    @property
    def errors(self) -> str:
        return self.err.decode("utf-8", "backslashreplace")

    @property
    def record(self) -> dict[str, Any]:
        assert self.report is not None, f"no report was written; stderr: {self.errors[:2000]}"
        return self.report

    def __repr__(self) -> str:
        return (f"Result(status={self.status}, out={self.out[-500:]!r}, err={self.err[-1500:]!r}, "
                f"seconds={self.seconds:.3f}, report={self.report})")


@dataclass
class Running:
    """A bioxen that is alive, and the processes that it consists of."""

    cli: subprocess.Popen[bytes]
    work: Path

    def one(self, name: str) -> Process | None:
        found = [p for p in hostview.descendants(self.cli.pid) if p.name == name and p.state not in "ZX"]
        return found[0] if found else None

    def wait_one(self, name: str) -> Process:
        return wait_for(lambda: self.one(name), 5, f"a process named {name}")

    @property
    def vm(self) -> Process:
        return self.wait_one("bioxen-vm")

    @property
    def daemon(self) -> Process:
        return self.wait_one("bioxend")

    @property
    def jailer(self) -> Process:
        return self.wait_one("bioxen-jailer")

    @property
    def janitor(self) -> Process:
        return self.wait_one("bioxen-janitor")

    def everyone(self) -> list[Process]:
        return hostview.descendants(self.cli.pid)

    def wait_line(self, text: bytes = b"up\n", seconds: float = 10) -> None:
        """Reads stdout until `text` came: the script says that it runs."""
        assert self.cli.stdout is not None
        os.set_blocking(self.cli.stdout.fileno(), False)
        seen = bytearray()

        def arrived() -> bool:
            try:
                seen.extend(os.read(self.cli.stdout.fileno(), 65536))  # type: ignore[union-attr]
            except BlockingIOError:
                pass
            return text in seen

        wait_for(arrived, seconds, f"{text!r} on stdout, saw {bytes(seen)[-200:]!r}")
        os.set_blocking(self.cli.stdout.fileno(), True)

    def finish(self, seconds: float = 10) -> Result:
        out, err = self.cli.communicate(timeout=seconds * SLOW)
        return Result(self.cli.returncode, out or b"", err or b"", 0.0, None)


@dataclass
class Bioxen:
    """The programs under test, with a private directory to work in."""

    work: Path
    user: bool = False  # run as an ordinary user, although the tests run as root

    @property
    def program(self) -> Path:
        return build_directory() / "bioxen"

    @property
    def scratch(self) -> Path:
        """TMPDIR of everything that is started: must be empty again afterwards."""
        return self.work / "tmp"

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        if self.user:
            os.chown(path, USER_ID, USER_ID)

    def command(self, *args: Argument) -> list[Argument]:
        line: list[Argument] = [self.program, *args]
        if self.user:
            line = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", "--", *line]
        return line

    def environment(self, extra: dict[str, str] | None) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        env.update({"TMPDIR": str(self.scratch), "NO_COLOR": "1"})
        env.update(extra or {})
        return env

    def start(self, *args: Argument, stdin: Any = subprocess.DEVNULL, stdout: Any = subprocess.PIPE,
              stderr: Any = subprocess.PIPE, env: dict[str, str] | None = None, **more: Any) -> Running:
        more.setdefault("cwd", self.work)
        cli = subprocess.Popen(self.command(*args), stdin=stdin, stdout=stdout, stderr=stderr,
                               env=self.environment(env), **more)
        hostview.started(cli.pid)
        return Running(cli, self.work)

    def run(self, *args: Argument, input: bytes | None = None, deadline: float = 20, report: bool = True,
            env: dict[str, str] | None = None, **more: Any) -> Result:
        """`bioxen run ARGS`, to its end; with its report unless told otherwise."""
        place = self.work / "report.json"
        place.unlink(missing_ok=True)
        line: list[Argument] = ["run", *(["--report", place] if report else []), *args]
        return self.call(*line, input=input, deadline=deadline, env=env, report=place if report else None, **more)

    def call(self, *args: Argument, input: bytes | None = None, deadline: float = 20,
             env: dict[str, str] | None = None, report: Path | None = None, **more: Any) -> Result:
        begin = time.monotonic()
        running = self.start(*args, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                             env=env, **more)
        try:
            out, err = running.cli.communicate(input, timeout=deadline * SLOW)
        except subprocess.TimeoutExpired:
            running.cli.kill()
            out, err = running.cli.communicate()
            raise AssertionError(f"bioxen did not end within {deadline} s: {args!r}\n{out[-500:]!r}\n{err[-500:]!r}")
        seconds = time.monotonic() - begin
        record = json.loads(report.read_text()) if report is not None and report.exists() else None
        return Result(running.cli.returncode, out or b"", err or b"", seconds, record)

    def eval(self, code: str, *options: Argument, **more: Any) -> Result:
        """One piece of Lua code, by -e."""
        return self.run(*options, "-e", code, **more)

    @contextmanager
    def busy(self, *options: Argument, code: str = "while true do end", profile: str = "restricted",
             **more: Any) -> Iterator[Running]:
        """A VM that is known to run `code`; ended afterwards whatever happens."""
        running = self.start("run", "--profile", profile, *options, "-e", 'print("up") ' + code, **more)
        try:
            running.wait_line()
            yield running
        finally:
            end(running.cli)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a CLI in order (its helpers see end-of-file and clean up), by force if it does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=5 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        close(stream)
    process.wait(timeout=5 * SLOW)


def close(stream: IO[bytes] | None) -> None:
    if stream is not None and not stream.closed:
        try:
            stream.close()
        except OSError:
            pass


def remove_tree(path: Path) -> None:
    for top, names, _ in os.walk(path):
        for name in names:
            os.chmod(Path(top, name), 0o755, follow_symlinks=False) if not Path(top, name).is_symlink() else None
    shutil.rmtree(path, ignore_errors=True)


def user_skip_reason() -> str | None:
    """Why the ordinary user's tests cannot run here, or None."""
    if os.getuid() != 0:
        return "already an ordinary user"
    if shutil.which("setpriv") is None:
        return "setpriv (util-linux) is missing"
    if not os.access("/proc/self/ns/user", os.F_OK):
        return "this kernel has no user namespaces"
    return None


def private_directory() -> Path:
    """A private directory that an ordinary user can reach too, with an empty TMPDIR in it."""
    path = Path(tempfile.mkdtemp(prefix="bxtest-", dir="/tmp"))
    path.chmod(0o755)
    (path / "tmp").mkdir(mode=0o755)
    return path
