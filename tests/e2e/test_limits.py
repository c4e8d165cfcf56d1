"""Limits: what enforces each, fallbacks for an ordinary user, refusal of what nothing can enforce."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bxrun import USER_ID, Bioxen
from delegation import can_delegate, delegated_groups, entering
from hostview import place_for_groups
from waiting import SLOW


@pytest.mark.root
def test_root_gets_control_groups(bx: Bioxen) -> None:
    if place_for_groups("memory") is None:
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


@pytest.mark.root
@pytest.mark.skipif(not can_delegate(), reason="this host has no control groups that can be delegated")
def test_delegated_control_groups_are_used(bx_user: Bioxen) -> None:
    """An ordinary user in a control group that was handed over gets the kernel's limits."""
    with delegated_groups(USER_ID) as groups:
        limits = bx_user.eval("print(1)", "--cpus", "0.5", "--memory", "32MiB", preexec_fn=entering(groups)).record["limits"]
    for name in ("memory", "cpus", "pids"):
        assert "cgroup-v" in limits[name]["enforced_by"], limits


@pytest.mark.root
@pytest.mark.probe
@pytest.mark.skipif(not can_delegate(), reason="this host has no control groups that can be delegated")
def test_delegated_control_groups_kill_and_are_removed(bx_user: Bioxen) -> None:
    """The kernel's limit, met by native code; delegated_groups sees that no group is left."""
    with delegated_groups(USER_ID) as groups:
        code = """local p = require 'native_probe'
        local at = p.call(9, 0, 256 << 20, 3, 0x22, -1, 0)
        for page = 0, (256 << 8) - 1 do p.poke(at + (page << 12), 'x') end
        print('ESCAPED')"""
        result = bx_user.eval(code, "--memory", "32MiB", preexec_fn=entering(groups))
    assert (result.record["outcome"], result.status) == ("memory", 137), result


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
