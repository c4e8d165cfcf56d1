"""`make install` puts the four programs where they find each other, and `make uninstall` takes all of it away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BIOXEN_BUILD", REPOSITORY / "build/test")).resolve().parent


def make(target: str, destination: Path) -> None:
    # -o: install what is there; the tests of a build do not build.
    old = [option for name in ("bioxen", "bioxend", "bioxen-jailer", "bioxen-vm") for option in ("-o", BUILD / name)]
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
