"""The jail as the host sees it: everything here is read from /proc/<pid of the VM> while it runs."""

from __future__ import annotations

import ctypes
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

import hostview
from bxrun import USER_ID, Bioxen, Running, private_directory, remove_tree, user_skip_reason
from delegation import delegated_groups, entering, nothing_to_delegate
from hostview import NAMESPACES, Process

pytestmark = pytest.mark.root  # /proc/<pid> of another uid is root's to read

FIRST_UID = 0x70000000
ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC = 0x0040000, 0x0400000
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class Inside:
    """One VM that runs on, and how it was started."""

    def __init__(self, running: Running, profile: str, user: bool) -> None:
        self.running, self.profile, self.user = running, profile, user
        self.vm, self.daemon, self.jailer, self.janitor = running.vm, running.daemon, running.jailer, running.janitor


@pytest.fixture(scope="module", params=["restricted-root", "full-root", "restricted-user", "full-user"])
def jail(request: pytest.FixtureRequest) -> Iterator[Inside]:
    profile, _, who = request.param.partition("-")
    if who == "user" and (reason := user_skip_reason()):
        pytest.skip(reason)
    work = private_directory()
    bx = Bioxen(work, user=who == "user")
    with ExitStack() as stack:
        groups = stack.enter_context(delegated_groups(USER_ID)) if bx.user and not nothing_to_delegate() else []
        options = ["--cpus", "0.2"] if groups or not bx.user else []
        stack.callback(remove_tree, work)
        if bx.user:
            os.chown(work, USER_ID, USER_ID)
        script = bx.write("s.lua", "print('up') while true do end")
        running = bx.start("run", "--profile", profile, "--memory", "32MiB", "--pids", "7", *options, script, preexec_fn=entering(groups))
        stack.callback(lambda: (running.cli.terminate(), running.cli.communicate()))
        running.wait_line()
        yield Inside(running, profile, bx.user)


@pytest.mark.parametrize("kind", NAMESPACES)
def test_namespace_is_not_the_hosts(jail: Inside, kind: str) -> None:
    assert jail.vm.namespace(kind) != os.readlink(f"/proc/self/ns/{kind}")


def test_pid_namespace_of_its_own(jail: Inside) -> None:
    assert jail.vm.status()["NSpid"].split()[-1] == "1"
    assert jail.vm.namespace("pid") != jail.jailer.namespace("pid")


def test_user_namespace_is_not_the_jailers(jail: Inside) -> None:
    assert jail.vm.namespace("user") != jail.jailer.namespace("user")
    assert jail.vm.namespace("mnt") != jail.jailer.namespace("mnt")


def test_uid_and_gid(jail: Inside) -> None:
    status = jail.vm.status()
    uids, gids = (set(map(int, status[key].split())) for key in ("Uid", "Gid"))
    assert len(uids) == 1 and len(gids) == 1
    if jail.user:
        assert uids == {USER_ID} and gids == {USER_ID}
    else:
        assert uids == {FIRST_UID + jail.vm.pid} and gids == {FIRST_UID + jail.vm.pid}
    assert 0 not in uids | gids


def test_one_uid_and_gid_are_mapped(jail: Inside) -> None:
    for name in ("uid_map", "gid_map"):
        lines = (jail.vm.proc / name).read_text().splitlines()
        assert len(lines) == 1 and lines[0].split()[2] == "1", lines
        assert lines[0].split()[1] != "0"


def test_no_groups(jail: Inside) -> None:
    groups = jail.vm.status()["Groups"].split()
    assert groups == [] or jail.user  # an ordinary user's jailer cannot drop groups that it may not change
    if jail.user:
        assert set(groups) <= {str(USER_ID), "65534"}


@pytest.mark.parametrize("name", CAPABILITIES)
def test_no_capability(jail: Inside, name: str) -> None:
    assert int(jail.vm.status()[name], 16) == 0


def test_no_new_privileges_and_filter(jail: Inside) -> None:
    status = jail.vm.status()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_single_thread(jail: Inside) -> None:
    assert jail.vm.status()["Threads"] == "1"
    assert jail.jailer.status()["Threads"] == "1"


def test_no_terminal_and_own_session(jail: Inside) -> None:
    for process in (jail.vm, jail.jailer, jail.daemon, jail.janitor):
        fields = (process.proc / "stat").read_text().rpartition(")")[2].split()
        assert fields[4] == "0", process
        assert os.getsid(process.pid) != os.getsid(jail.running.cli.pid), process


def test_descriptors(jail: Inside) -> None:
    held = jail.vm.descriptors()
    assert set(held) == {0, 1, 2, 3}, held
    assert held[0] == "/dev/null" and held[1].startswith("pipe:") and held[2].startswith("pipe:") and held[3].startswith("socket:")
    assert len({held[1], held[2], held[3]}) == 3


def test_standard_input_is_the_kernels_null(jail: Inside) -> None:
    info = os.stat(jail.vm.proc / "fd" / "0")
    assert (os.major(info.st_rdev), os.minor(info.st_rdev)) == (1, 3)


def test_root_is_empty(jail: Inside) -> None:
    names = sorted(os.listdir(jail.vm.proc / "root"))
    assert names == ([] if jail.profile == "restricted" else ["app", "tmp"]), names


def test_working_directory_is_the_root(jail: Inside) -> None:
    assert os.readlink(jail.vm.proc / "cwd") == "/" and os.readlink(jail.vm.proc / "root") == "/"


def test_mounts(jail: Inside) -> None:
    rows = [line.split() for line in (jail.vm.proc / "mountinfo").read_text().splitlines()]
    places = {row[4]: set(row[5].split(",")) for row in rows}
    assert set(places) == ({"/"} if jail.profile == "restricted" else {"/", "/app", "/tmp"}), places
    for place, options in places.items():
        assert {"nosuid", "nodev", "noexec"} <= options, (place, options)
        assert ("rw" in options) == (place == "/tmp"), (place, options)
    assert not any("shared:" in " ".join(row[6:row.index("-")]) for row in rows)


def test_tmp_has_size_and_inode_limits(jail: Inside) -> None:
    if jail.profile == "restricted":
        assert not (jail.vm.proc / "root" / "tmp").exists()
        return
    info = os.statvfs(jail.vm.proc / "root" / "tmp")
    assert info.f_blocks * info.f_frsize <= 16 << 20 and info.f_files <= 4096


def test_root_cannot_be_written_even_by_root(jail: Inside) -> None:
    for place in ("", "app"):
        if place and jail.profile == "restricted":
            continue
        with pytest.raises(OSError) as caught:
            (jail.vm.proc / "root" / place / "x").touch()
        assert caught.value.errno in (30, 1, 13), caught.value


def test_environment_is_empty(jail: Inside) -> None:
    assert (jail.vm.proc / "environ").read_bytes() == b""


def test_command_line_tells_nothing(jail: Inside) -> None:
    words = (jail.vm.proc / "cmdline").read_bytes().split(b"\0")
    assert words == [b"bioxen-vm", jail.profile.encode(), b""]


@pytest.mark.parametrize("name, most", [("Max core file size", 0), ("Max open files", 1024), ("Max locked memory", 65536), ("Max msgqueue size", 819200),
                                        ("Max nice priority", 0), ("Max realtime priority", 0), ("Max file size", 1 << 30), ("Max stack size", 64 << 20)])
def test_resource_limits(jail: Inside, name: str, most: int) -> None:
    soft, hard = jail.vm.limits()[name]
    assert soft == hard and hard != "unlimited" and int(hard) <= most, (soft, hard)


def test_memory_maps(jail: Inside) -> None:
    """Nothing writable and executable, nothing but the VM's own binary; position-independent."""
    for line in (jail.vm.proc / "maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        assert not ("w" in fields[1] and "x" in fields[1]), line
        if len(fields) == 6 and not fields[5].startswith("["):
            assert "bioxen-vm" in fields[5], line
        if len(fields) == 6 and "bioxen-vm" in fields[5]:
            assert int(fields[0].split("-")[0], 16) > 0x500000000000, line


@pytest.mark.parametrize("who", ["root", "user"])
def test_personality_of_the_caller_is_not_the_vms(request: pytest.FixtureRequest, profile: str, who: str) -> None:
    """setarch -R -X: no random addresses, and what can be read can be run."""
    bx = request.getfixturevalue("bx" if who == "root" else "bx_user")
    switch = ctypes.CDLL(None).personality
    places = set()
    for _ in range(3):
        with bx.busy(profile=profile, preexec_fn=lambda: switch(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC)) as running:
            assert (running.vm.proc / "personality").read_text() == "00000000\n"
            lines = (running.vm.proc / "maps").read_text().splitlines()
            assert not [line for line in lines if "rwx" in line]
            places.add(lines[0])
    assert len(places) == 3, places


def test_stranger_may_not_look(jail: Inside) -> None:
    """Another ordinary user of the host sees no memory, descriptors or maps of a VM."""
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            os.setgroups([])
            os.setgid(4321)
            os.setuid(4321)
            for name in ("environ", "maps", "fd/0", "mem", "root"):
                try:
                    os.open(f"/proc/{jail.vm.pid}/{name}", os.O_RDONLY)
                    status = 1
                except OSError:
                    pass
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_oom_killer_takes_the_vm_before_others(jail: Inside) -> None:
    """The VM must not be protected against the kernel's out-of-memory killer."""
    assert int((jail.vm.proc / "oom_score_adj").read_text()) >= int(Path("/proc/self/oom_score_adj").read_text())


def test_host_name_is_not_the_hosts(jail: Inside) -> None:
    assert jail.vm.namespace("uts") != os.readlink("/proc/self/ns/uts")


def test_network_namespace_is_empty(jail: Inside) -> None:
    routes = (jail.vm.proc / "net" / "route").read_text().splitlines()
    devices = [line.split(":")[0].strip() for line in (jail.vm.proc / "net" / "dev").read_text().splitlines()[2:]]
    assert len(routes) <= 1 and set(devices) <= {"lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0"}, devices


def groups_of(jail: Inside, controller: str) -> Path:
    found = hostview.cgroups_of(jail.vm.pid)
    path = found.get(controller) or found.get("unified")
    if jail.user and (path is None or "bioxen-" not in str(path)):
        pytest.skip(f"no control group with {controller} is delegated to an ordinary user here")
    assert path is not None and "bioxen-" in str(path), (controller, path)
    return path


def read_number(*places: Path) -> int:
    for place in places:
        if place.exists():
            text = place.read_text().split()[0]
            return -1 if text == "max" else int(text)
    raise AssertionError(f"none of these is there: {places}")


def test_memory_group(jail: Inside) -> None:
    path = groups_of(jail, "memory")
    assert 32 << 20 <= read_number(path / "memory.max", path / "memory.limit_in_bytes") <= 34 << 20
    assert str(jail.vm.pid) in (path / "cgroup.procs").read_text().split()


def test_swap_is_in_the_limit(jail: Inside) -> None:
    path = groups_of(jail, "memory")
    if (path / "memory.swap.max").exists():
        assert (path / "memory.swap.max").read_text().strip() == "0"
    elif (path / "memory.memsw.limit_in_bytes").exists():
        assert read_number(path / "memory.memsw.limit_in_bytes") == read_number(path / "memory.limit_in_bytes")
    else:
        pytest.skip("this kernel does not account swap")


def test_no_huge_pages(jail: Inside) -> None:
    """Where the kernel makes them by itself, the first byte of a hole in the heap would count as two megabytes."""
    assert jail.vm.status().get("THP_enabled", "0") == "0"


def test_pids_group(jail: Inside) -> None:
    assert read_number(groups_of(jail, "pids") / "pids.max") == 7


def test_cpu_group(jail: Inside) -> None:
    path = groups_of(jail, "cpu")
    if (path / "cpu.max").exists():
        quota, period = map(int, (path / "cpu.max").read_text().split())
    else:
        quota, period = read_number(path / "cpu.cfs_quota_us"), read_number(path / "cpu.cfs_period_us")
    assert quota / period == pytest.approx(0.2)


def test_group_belongs_to_root_not_to_the_vm(jail: Inside) -> None:
    path = groups_of(jail, "memory")
    for entry in (path, path / "cgroup.procs"):
        info = entry.stat()
        assert info.st_uid < FIRST_UID and not info.st_mode & 0o002, entry


@pytest.mark.parametrize("name", CAPABILITIES)
def test_orchestrator_has_no_capability(jail: Inside, name: str) -> None:
    if name == "CapBnd" and jail.user:
        pytest.skip("an ordinary user cannot lower the bounding set")
    assert int(jail.daemon.status()[name], 16) == 0


def test_orchestrator_is_not_root(jail: Inside) -> None:
    status = jail.daemon.status()
    assert set(status["Uid"].split()) == ({str(USER_ID)} if jail.user else {str(FIRST_UID + jail.daemon.pid)})
    assert set(status["Gid"].split()) == ({str(USER_ID)} if jail.user else {str(FIRST_UID + jail.daemon.pid)})
    assert status["Groups"].split() == [] or jail.user


def test_orchestrator_is_filtered(jail: Inside) -> None:
    status = jail.daemon.status()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_orchestrator_and_vm_have_different_uids(jail: Inside) -> None:
    if not jail.user:
        assert jail.daemon.status()["Uid"] != jail.vm.status()["Uid"]


def test_helpers_hold_no_stray_descriptors(jail: Inside) -> None:
    """Nothing of the caller's and no file of the host but what each needs."""
    for process in (jail.daemon, jail.jailer, jail.janitor):
        for number, target in process.descriptors().items():
            assert target.startswith(("socket:", "pipe:", "anon_inode:", "/dev/null", "/sys/fs/cgroup", "/memfd:", "mnt:", "net:", "user:", "/")), (process, number, target)
            assert not target.startswith(("/home", "/root", "/etc")), (process, number, target)


def test_helpers_keep_no_directory_busy(jail: Inside) -> None:
    """A helper whose working directory is the caller's would keep it from being unmounted."""
    for process in (jail.daemon, jail.jailer, jail.janitor):
        assert os.readlink(process.proc / "cwd") == "/", process


def test_helpers_environment(jail: Inside) -> None:
    """A secret in the caller's environment must not sit in every helper's memory."""
    for process in (jail.daemon, jail.jailer, jail.janitor):
        names = {entry.split(b"=")[0] for entry in (process.proc / "environ").read_bytes().split(b"\0") if entry}
        assert names <= {b"BIOXEN_BUILD", b"ASAN_OPTIONS", b"UBSAN_OPTIONS", b"LSAN_OPTIONS", b"TMPDIR", b"NO_COLOR", b"LANG", b"LC_ALL", b"PATH"}, (process, names)


def test_jailer_cannot_be_looked_at_by_its_vm(jail: Inside) -> None:
    assert jail.vm.namespace("pid") != jail.jailer.namespace("pid")
    process: Process = jail.jailer
    assert set(process.status()["Uid"].split()) != set(jail.vm.status()["Uid"].split()) or jail.user
