"""Limits: what enforces each, fallbacks for an ordinary user, refusal of what nothing can enforce."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from bxrun import USER_ID, Bioxen
from hostview import cgroups_of
from waiting import SLOW


def has_controller(name: str) -> bool:
    """Whether this process's own control group of `name` is one that it may make groups in."""
    groups = cgroups_of(os.getpid())
    if name in groups:
        return os.access(groups[name], os.W_OK)
    unified = groups.get("unified")
    return unified is not None and name in (unified / "cgroup.controllers").read_text().split() and os.access(unified, os.W_OK)


@pytest.mark.root
def test_root_gets_control_groups(bx: Bioxen) -> None:
    if not has_controller("memory"):
        pytest.skip("this host has no memory controller for us")
    limits = bx.eval("print(1)", "--memory", "32MiB", "--cpus", "0.5", "--pids", "4").record["limits"]
    assert "cgroup-v" in limits["memory"]["enforced_by"]
    assert "cgroup-v" in limits["cpus"]["enforced_by"]
    assert any(word in limits["pids"]["enforced_by"] for word in ("cgroup-v", "seccomp"))


def test_ordinary_user_falls_back_and_says_so(bx_user: Bioxen) -> None:
    limits = bx_user.eval("print(1)", "--memory", "32MiB", "--pids", "4", "--cpu-time", "2s", "--timeout", "3s").record["limits"]
    assert "allocator" in limits["memory"]["enforced_by"]
    assert "rlimit" in limits["memory"]["enforced_by"] or "cgroup" in limits["memory"]["enforced_by"]
    for name in ("pids", "cpu_time", "timeout", "output_limit"):
        assert limits[name]["enforced_by"], (name, limits)


def test_a_limit_by_name_that_nothing_enforces(bx_user: Bioxen) -> None:
    """Half a processor needs a control group: without one that is ours the run is refused with the reason."""
    result = bx_user.eval("print(1)", "--cpus", "0.5")
    if result.status == 0:
        assert "cgroup" in result.record["limits"]["cpus"]["enforced_by"]
        return
    assert result.status == 125 and result.out == b""
    assert "cpus" in result.errors and "cgroup" in result.errors, result.errors


def test_whole_processors_need_no_control_group(bx_user: Bioxen) -> None:
    for value in ("1", "1.0", "2"):
        assert bx_user.eval("print(1)", "--cpus", value).out == b"1\n"


def test_delegated_control_groups_are_used(bx_user: Bioxen) -> None:
    """An ordinary user in a control group that was handed over gets the kernel's limits."""
    if not bx_user.user:
        pytest.skip("needs root to hand a control group over")
    own = cgroups_of(os.getpid())
    made = []
    try:
        for name in ("memory", "cpu", "pids"):
            if name not in own:
                pytest.skip("tried on cgroup v1 hosts only")
            path = own[name] / f"bxtest-{os.getpid()}"
            path.mkdir()
            made.append(path)
            for entry in (path, path / "tasks", path / "cgroup.procs"):
                os.chown(entry, USER_ID, USER_ID)
        enter = " && ".join(f"echo $$ > {path}/cgroup.procs" for path in made)
        command = " ".join(f"'{word}'" for word in map(str, bx_user.command("run", "--cpus", "0.5", "--memory", "32MiB", "--report",
                                                                            bx_user.work / "r.json", "-e", "print(1)")))
        done = subprocess.run(["sh", "-c", f"{enter} && exec {command}"], capture_output=True, timeout=20 * SLOW, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout) == (0, b"1\n"), done
        report = (bx_user.work / "r.json").read_text()
        assert "cgroup-v1" in report
    finally:
        for path in made:
            for child in path.glob("bioxen-*"):
                raise AssertionError(f"left behind: {child}")
            path.rmdir()


def test_cpu_share_is_enforced(bx: Bioxen) -> None:
    if os.getuid() != 0 or not (has_controller("cpu")):
        pytest.skip("this host has no cpu controller for us")
    result = bx.eval("while true do end", "--cpus", "0.2", "--timeout", "2s")
    assert result.record["outcome"] == "timeout"
    assert 200 <= result.record["cpu_ms"] <= 700, result.record


def test_cpus_of_a_whole_processor_is_not_throttled(bx: Bioxen) -> None:
    result = bx.eval("local t = os.clock() while os.clock() - t < 0.5 do end")
    assert result.record["cpu_ms"] >= 450


def test_limits_of_the_vm_are_not_the_callers(bx: Bioxen) -> None:
    """A caller with a lowered core, file size or nofile limit changes nothing inside."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is missing")
    done = subprocess.run(["prlimit", "--core=0", "--fsize=4096", "--", bx.program, "run", "--profile", "full", "-e",
                           "local f = io.open('/tmp/x', 'w') print(f:write(('x'):rep(10000)) and f:flush() and 'written')"],
                          capture_output=True, timeout=20 * SLOW, env=bx.environment(None))
    assert done.returncode in (0, 125), done
    assert done.returncode == 125 or done.stdout in (b"written\n", b"nil\n")


def test_tmp_size_does_not_grow_with_memory(bx: Bioxen) -> None:
    code = "local f, n = io.open('/tmp/x', 'w'), 0 while f:write(('x'):rep(1 << 20)) and f:flush() do n = n + 1 if n > 64 then break end end print(n)"
    assert int(bx.eval(code, "--profile", "full", "--memory", "256MiB").out) <= 16


def test_file_descriptors_run_out_inside(bx_any: Bioxen) -> None:
    code = "local t = {} for i = 1, 5000 do local f, e = io.open('/tmp/x', 'w') if not f then print(i, e) break end t[i] = f end"
    result = bx_any.eval(code, "--profile", "full")
    assert b"Too many open files" in result.out and int(result.out.split()[0]) <= 1024


def test_sparse_files_are_bounded(bx_any: Bioxen) -> None:
    code = "local f = io.open('/tmp/x', 'w') print(f:seek('set', 1 << 40)) print(f:write('x'), f:flush()) print('alive')"
    result = bx_any.eval(code, "--profile", "full")
    assert (result.status == 0 and b"alive" in result.out) or result.record["outcome"] == "crash", result
