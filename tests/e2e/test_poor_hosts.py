"""Hosts that lack something, made by namespaces: `run` works, or says by 125 what is missing; never anything else."""

from __future__ import annotations

import os

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bxrun import Bioxen
from waiting import SLOW

pytestmark = [pytest.mark.root, pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare (util-linux) is missing")]

OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
OWN_USERS = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c"]


def on_host(bx: Bioxen, wrapper: list[str], prepare: str, *args: str | Path, profile: str = "restricted") -> subprocess.CompletedProcess[bytes]:
    """`bioxen run ARGS` after the shell commands of `prepare`, inside the wrapper's namespaces."""
    line = [*wrapper, f'{prepare} exec "$@"', "sh", bx.program, "run", "--profile", profile, *args]
    return subprocess.run(line, capture_output=True, env=bx.environment(None), cwd=bx.work, timeout=30 * SLOW, stdin=subprocess.DEVNULL)


def works_or_says_why(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    if done.returncode == 0:
        assert done.stdout == b"4.0\n", done
        return
    message = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 125 and done.stdout == b"", done
    assert message.startswith("bioxen: ") and len(message.splitlines()) <= 3, message
    for word in words:
        assert word in message.lower(), message


SQRT = ("-e", "print(math.sqrt(16))")


def test_no_control_groups(bx: Bioxen, profile: str) -> None:
    """Limits that were not asked for by name fall back, and the report says so."""
    report = bx.work / "r.json"
    done = on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /sys/fs/cgroup;", "--report", report, *SQRT, profile=profile)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done
    limits = json.loads(report.read_text())["limits"]
    assert "cgroup" not in limits["memory"]["enforced_by"] and "allocator" in limits["memory"]["enforced_by"]


def test_no_control_groups_but_half_a_processor(bx: Bioxen) -> None:
    done = on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /sys/fs/cgroup;", "--cpus", "0.5", *SQRT)
    assert done.returncode == 125 and b"cpus" in done.stderr and b"cgroup" in done.stderr, done


def test_read_only_control_groups(bx: Bioxen) -> None:
    """As in many containers."""
    prepare = "for d in $(awk '$3 ~ /^cgroup/ {print $2}' /proc/mounts); do mount -o remount,bind,ro $d; done;"
    works_or_says_why(on_host(bx, OWN_MOUNTS, prepare, *SQRT))
    done = on_host(bx, OWN_MOUNTS, prepare, "--cpus", "0.5", *SQRT)
    assert done.returncode == 125 and b"cpus" in done.stderr, done


@pytest.mark.skipif("BIOXEN_SANITIZE" in os.environ, reason="the sanitizers' run-time library needs /proc itself")
def test_no_proc(bx: Bioxen, profile: str) -> None:
    works_or_says_why(on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /proc;", *SQRT, profile=profile), "proc")


def test_no_devices(bx: Bioxen, profile: str) -> None:
    works_or_says_why(on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /dev;", *SQRT, profile=profile), "/dev/null")


def test_false_null_device(bx: Bioxen) -> None:
    """A /dev/null that somebody replaced by a file is not handed to a script."""
    done = on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /dev; echo secret > /dev/null;", "-e", "print(io.read('a'))", profile="full")
    assert b"secret" not in done.stdout


def test_no_sys(bx: Bioxen) -> None:
    works_or_says_why(on_host(bx, OWN_MOUNTS, "mount -t tmpfs none /sys;", *SQRT))


def test_read_only_tmp(bx: Bioxen, profile: str) -> None:
    done = on_host(bx, OWN_MOUNTS, "mount -t tmpfs -o ro none /mnt; export TMPDIR=/mnt;", *SQRT, profile=profile)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


def test_missing_tmpdir(bx: Bioxen) -> None:
    done = on_host(bx, OWN_MOUNTS, "export TMPDIR=/no/such/place;", *SQRT)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


def test_root_of_a_user_namespace(bx: Bioxen, profile: str) -> None:
    done = on_host(bx, OWN_USERS, "", *SQRT, profile=profile)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


@pytest.mark.parametrize("kind", ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"])
def test_a_namespace_that_is_not_allowed(bx: Bioxen, kind: str) -> None:
    """The host's limit of namespaces of one kind is used up: refused in words that lead on."""
    prepare = f"echo 0 > /proc/sys/user/max_{kind}_namespaces || exit 77;"
    done = on_host(bx, OWN_USERS, prepare, *SQRT)
    if done.returncode == 77:
        pytest.skip(f"max_{kind}_namespaces cannot be lowered here")
    assert done.returncode == 125 and done.stdout == b"", done
    message = done.stderr.decode().lower()
    assert "namespace" in message and ("doctor" in message or f"max_{kind}_namespaces" in message), message
    assert "no space left on device" not in message or "limit" in message, message  # what the kernel says for a limit
    assert len(message.splitlines()) <= 3, message


def test_root_without_capabilities(bx: Bioxen) -> None:
    done = on_host(bx, ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "sh", "-c"], "", *SQRT)
    works_or_says_why(done)


@pytest.mark.parametrize("capability", ["sys_admin", "setuid", "setgid", "net_admin", "kill", "chown", "dac_override", "sys_resource", "setpcap", "sys_ptrace", "mknod"])
def test_root_without_one_capability(bx: Bioxen, capability: str) -> None:
    """As containers have it: root, but not all of root."""
    done = on_host(bx, ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}", "sh", "-c"], "", *SQRT)
    works_or_says_why(done)


def test_no_new_privileges_of_the_caller(bx_any: Bioxen) -> None:
    line = bx_any.command("run", *SQRT)
    done = subprocess.run(["setpriv", "--no-new-privs", *line], capture_output=True, env=bx_any.environment(None), timeout=20 * SLOW, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


def test_in_a_chroot(bx: Bioxen) -> None:
    """A directory that is no mount, with everything of this host below it."""
    root = bx.work / "root"
    prepare = (f"mkdir {root}; for d in /*; do test ! -d $d -o -L $d || {{ mkdir {root}$d; mount --rbind $d {root}$d; }};"
               f" test ! -L $d || cp -P $d {root}; done; set -- chroot {root} \"$@\";")
    done = on_host(bx, OWN_MOUNTS, prepare, *SQRT)
    assert done.returncode == 125 and b"chroot" in done.stderr and b"systemd-nspawn" in done.stderr, done


def test_inside_a_pid_namespace(bx: Bioxen) -> None:
    for wrapper in (["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c"], ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c"]):
        works_or_says_why(on_host(bx, wrapper, "", *SQRT), "proc")


def test_as_process_one(bx: Bioxen) -> None:
    """As a container's first process: nobody reaps for it, no signal has a default action."""
    done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", bx.program, "run", *SQRT], capture_output=True, env=bx.environment(None),
                          timeout=20 * SLOW, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is missing")
def test_inside_bubblewrap(bx: Bioxen, profile: str) -> None:
    for options in (["--dev-bind", "/", "/"], ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all"]):
        works_or_says_why(on_host(bx, ["bwrap", *options, "sh", "-c"], "", *SQRT, profile=profile))


def test_inside_itself_is_impossible_but_beside_itself_is_fine(bx: Bioxen) -> None:
    """A second bioxen in the network namespace and cgroup of a first one's neighbour: no shared names."""
    with bx.busy():
        for _ in range(5):
            assert bx.eval("print(1)").out == b"1\n"


def test_without_its_helpers(bx: Bioxen) -> None:
    """A copy of the CLI alone says what it misses."""
    place = bx.work / "bin"
    place.mkdir()
    shutil.copy(bx.program, place / "bioxen")
    done = subprocess.run([place / "bioxen", "run", *SQRT], capture_output=True, timeout=20 * SLOW)
    assert done.returncode == 125 and b"bioxend" in done.stderr, done


def test_from_a_path_with_odd_characters(bx: Bioxen) -> None:
    """Installed in a directory with spaces, newlines and a name of another alphabet; run through a symlink."""
    place = bx.work / "a b\n\u00e9"
    place.mkdir()
    for name in ("bioxen", "bioxend", "bioxen-jailer", "bioxen-vm"):
        shutil.copy(bx.program.parent / name, place / name)
    (bx.work / "link").symlink_to(place / "bioxen")
    done = subprocess.run([bx.work / "link", "run", *SQRT], capture_output=True, timeout=20 * SLOW)
    assert (done.returncode, done.stdout) == (0, b"4.0\n"), done


def test_programs_that_vanish_while_it_runs(bx: Bioxen) -> None:
    """An upgrade in the middle: what runs goes on."""
    place = bx.work / "bin"
    place.mkdir()
    for name in ("bioxen", "bioxend", "bioxen-jailer", "bioxen-vm"):
        shutil.copy(bx.program.parent / name, place / name)
    code = "print('up') local t = os.clock() while os.clock() - t < 0.5 do end print('done')"
    running = subprocess.Popen([place / "bioxen", "run", "-e", code], stdout=subprocess.PIPE)
    assert running.stdout is not None and running.stdout.readline() == b"up\n"
    shutil.rmtree(place)
    assert running.communicate(timeout=10 * SLOW)[0] == b"done\n" and running.returncode == 0
