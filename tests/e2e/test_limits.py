"""Limits: what enforces each, fallbacks for an ordinary user, refusal of what nothing can enforce."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from bxrun import USER_ID, Bioxen
from delegation import delegated_groups, directly_delegated_group, entering, nothing_to_delegate
from hostview import CGROUP_ROOT, cgroups_of, place_for_groups
from waiting import SLOW


V2 = (CGROUP_ROOT / "cgroup.controllers").exists()


@pytest.mark.root
def test_root_gets_control_groups(bx: Bioxen) -> None:
    if place_for_groups("memory") is None:
        pytest.skip("this host has no memory controller for us")
    limits = bx.eval("print(1)", "--memory", "32MiB", "--cpus", "0.5", "--pids", "4").record["limits"]
    assert "cgroup-v" in limits["memory"]["enforced_by"]
    assert "cgroup-v" in limits["cpus"]["enforced_by"]
    assert any(word in limits["pids"]["enforced_by"] for word in ("cgroup-v", "seccomp"))


@pytest.mark.skipif(not V2, reason="only version 2 of control groups cares where processes are")
def test_the_callers_own_group_stays_as_it_is(bx: Bioxen) -> None:
    """A group with processes in it takes pids and cpu for its children, but becomes the root of a threaded subtree by that."""
    files = [cgroups_of(os.getpid())["unified"] / name for name in ("cgroup.type", "cgroup.subtree_control")]
    before = [file.read_text() for file in files]
    assert bx.eval("print(1)").status == 0
    assert [file.read_text() for file in files] == before and "domain\n" in before


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


@pytest.mark.root
@pytest.mark.skipif(nothing_to_delegate(), reason="this host has no control groups that can be delegated")
def test_delegated_control_groups_are_used(bx_user: Bioxen) -> None:
    """An ordinary user in a control group that was handed over gets the kernel's limits."""
    with delegated_groups(USER_ID) as groups:
        limits = bx_user.eval("print(1)", "--cpus", "0.5", "--memory", "32MiB", preexec_fn=entering(groups)).record["limits"]
    for name in ("memory", "cpus", "pids"):
        assert "cgroup-v" in limits[name]["enforced_by"], limits


@pytest.mark.root
@pytest.mark.probe
@pytest.mark.skipif(nothing_to_delegate(), reason="this host has no control groups that can be delegated")
def test_delegated_control_groups_kill_and_are_removed(bx_user: Bioxen) -> None:
    """The kernel's limit, met by native code; delegated_groups sees that no group is left."""
    with delegated_groups(USER_ID) as groups:
        code = """local p = require 'native_probe'
        local at = p.call(9, 0, 256 << 20, 3, 0x22, -1, 0)
        for page = 0, (256 << 8) - 1 do p.poke(at + (page << 12), 'x') end
        print('ESCAPED')"""
        result = bx_user.eval(code, "--memory", "32MiB", preexec_fn=entering(groups))
    assert (result.record["outcome"], result.status) == ("memory", 137), result


@pytest.mark.root
@pytest.mark.skipif(not V2, reason="only version 2 of control groups cares where processes are")
def test_a_group_that_was_handed_over_with_its_processes(bx_user: Bioxen) -> None:
    """It can give no controllers on, so the limits fall back; the doctor says so, and his command helps."""
    half = ("run", "--cpus", "0.5", "-e", "print(1)")
    with directly_delegated_group(USER_ID) as groups:
        limits = bx_user.eval("print(1)", "--memory", "32MiB", preexec_fn=entering(groups)).record["limits"]
        assert "rlimit" in limits["memory"]["enforced_by"] and "cgroup" not in limits["memory"]["enforced_by"], limits
        refused = bx_user.call(*half, preexec_fn=entering(groups))
        assert refused.status == 125 and b"bioxen doctor" in refused.err, refused
        checks = json.loads(bx_user.call("doctor", "--json", deadline=60, preexec_fn=entering(groups)).out)["checks"]
        found = next(check for check in checks if check["id"] == "cgroup-cpu")
        assert "holds processes" in found["cause"], found
        assert (groups[0] / "cgroup.type").read_text() == "domain\n" and not (groups[0] / "cgroup.subtree_control").read_text().strip()
        line = bx_user.command(*half)
        mended = subprocess.run([*line[:-len(half) - 1], "sh", "-c", f'{found["fix"]}; exec "$@"', "sh", *line[-len(half) - 1:]],
                                capture_output=True, preexec_fn=entering(groups), env=bx_user.environment(None), timeout=20 * SLOW)
    assert (mended.returncode, mended.stdout) == (0, b"1\n"), mended


def test_cpu_share_is_enforced(bx: Bioxen) -> None:
    if place_for_groups("cpu") is None:
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
