"""`make install` puts the programs and the library where they find each other, and `make uninstall` takes all of it away."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BIOXEN_BUILD", REPOSITORY / "build/test")).resolve().parent


def make(target: str, destination: Path) -> None:
    # -o: install what is there; the tests of a build do not build.
    built = ("bioxen", "bioxend", "bioxen-jailer", "bioxen-vm", "libbioxen.so", "libbioxen.so.1", "libbioxen.a")
    old = [option for name in built for option in ("-o", BUILD / name)]
    subprocess.run(["make", "-s", f"B={BUILD}", *old, target, f"DESTDIR={destination}", "PREFIX=/opt/bioxen"],
                   cwd=REPOSITORY, check=True, timeout=60, stdin=subprocess.DEVNULL)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_installed_programs_work_and_go_again(tmp_path: Path) -> None:
    make("install", tmp_path)
    prefix = tmp_path / "opt/bioxen"
    programs = {"bin/bioxen", "libexec/bioxen/bioxend", "libexec/bioxen/bioxen-jailer", "libexec/bioxen/bioxen-vm"}
    assert programs <= files(prefix)
    for name in programs:
        mode = (prefix / name).stat().st_mode
        assert mode & 0o7777 == 0o755, "no set-user-id bit, readable by all"
    result = subprocess.run([prefix / "bin/bioxen", "run", "-e", "print(6 * 7)"], capture_output=True, timeout=30,
                            stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (0, b"42\n"), result.stderr
    make("uninstall", tmp_path)
    assert files(prefix) == set()


@pytest.mark.parametrize("how", ["shared", "static"])
def test_a_program_in_c_against_what_is_installed(tmp_path: Path, how: str) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is missing")
    make("install", tmp_path)
    prefix = tmp_path / "opt/bioxen"
    env = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(tmp_path),
               LD_LIBRARY_PATH=str(prefix / "lib"))

    def tell(*options: str) -> list[str]:
        return subprocess.run(["pkg-config", *options, "bioxen"], env=env, check=True, capture_output=True, text=True,
                              timeout=30).stdout.split()

    libs = tell("--libs") if how == "shared" else [str(prefix / "lib/libbioxen.a"), "-pthread"]
    program = tmp_path / "execute"
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, REPOSITORY / "docs/examples/execute.c",
                    *tell("--cflags"), *libs], check=True, timeout=60)
    directory = [] if how == "shared" else [prefix / "libexec/bioxen"]  # the shared library finds what lies beside it
    result = subprocess.run([program, *directory], env=env, capture_output=True, text=True, timeout=60,
                            stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1] == "= 2" and "= 20 21.5" in lines and lines[-1] == "example: stopped"
    assert tell("--modversion") == ["0.1.0"]


def test_the_library_shows_its_own_names_only() -> None:
    for name, options in (("libbioxen.so.1", ["-D"]), ("libbioxen.a", [])):
        listing = subprocess.run(["nm", *options, "--defined-only", "--extern-only", BUILD / name], check=True,
                                 capture_output=True, text=True, timeout=30).stdout
        names = {line.split()[-1].split("@")[0] for line in listing.splitlines() if len(line.split()) == 3}
        assert {"bioxen_open", "bioxen_execute", "bioxen_session_send"} <= names
        assert {n for n in names if not n.startswith("bioxen_")} <= {"BIOXEN_1.0"}
