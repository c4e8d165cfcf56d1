"""The checks of `make lint` find what they are there to find: each is shown a tree with one fault in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("scripts", "sandbox", "src"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    return tmp_path


def check(tree: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tree / "scripts" / name], env=dict(os.environ, BIOXEN_BUILD=str(tree / "build")),
                          capture_output=True, text=True, timeout=60)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("place, line", [
    ("src/vm/main.c", '#include "../jailer/jailer.h"'),
    ("src/vm/main.c", '#include "common/error.h"\n#include <sys/capability.h>'),
    ("src/common/error.c", '#include "client/bioxen.h"'),
    ("src/cli/main.c", '#include "common/record.h"'),
    ("src/daemon/main.c", "#include <lua.h>"),
    ("src/daemon/main.c", '#include "sandbox/sandbox.h"'),
    ("sandbox/lock.c", "#include <seccomp.h>"),
    ("sandbox/lock.c", '#include "src/common/error.h"'),
])
def test_a_forbidden_include_is_found(tree: Path, place: str, line: str) -> None:
    (tree / "src/jailer/jailer.h").touch()
    append(tree / place, line + "\n")
    result = check(tree, "check-layers")
    assert result.returncode == 1
    assert f"check-layers: {place}:" in result.stdout


def program(build: Path, name: str, code: str) -> None:
    source = build / f"{name}.c"
    source.write_text(code)
    (build / name).unlink(missing_ok=True)
    subprocess.run(["gcc", "-w", "-o", build / name, source], check=True, timeout=60)


@pytest.mark.parametrize("name, function", [
    ("bioxend", "lua_newstate"), ("bioxend", "seccomp_rule_add"), ("bioxen-jailer", "msgpack_unpack_next"),
    ("bioxen-jailer", "lua_pcall"), ("bioxen-vm", "cap_set_proc"), ("bioxen-vm", "yaml_parser_parse"),
])
def test_a_forbidden_symbol_is_found(tree: Path, name: str, function: str) -> None:
    build = tree / "build"
    build.mkdir()
    program(build, name, f"int {function}(void) {{ return 0; }} int main(void) {{ return {function}(); }}")
    result = check(tree, "check-layers")
    assert result.returncode == 1
    assert f"{name}: holds the symbol {function}" in result.stdout
    assert f"{name}: is not static" in result.stdout


def test_a_row_without_a_reason_is_found(tree: Path) -> None:
    append(tree / "sandbox/profiles.def", '\nALLOW(sync, R, "")\n')
    result = check(tree, "check-filters")
    assert result.returncode == 1 and "ALLOW(sync) gives no reason" in result.stdout


def test_too_many_rows_are_found(tree: Path) -> None:
    append(tree / "sandbox/profiles.def", "".join(f'\nALLOW(call{n}, R | F, "because")' for n in range(25)) + "\n")
    result = check(tree, "check-filters")
    assert result.returncode == 1 and "profile restricted reaches" in result.stdout


def test_bad_style_is_found(tree: Path) -> None:
    body = "    f();\n" * 101
    (tree / "src/common/long.c").write_text("/* long.c */\nvoid f(void)\n{\n" + body + "}\n")
    (tree / "src/common/nameless.c").write_text("int x;\t\n" * 600)
    result = check(tree, "check-style")
    assert result.returncode == 1
    for text in ("f has 103 lines", "nameless.c:1: opens without a comment", "600 lines; split it", "a tab"):
        assert text in result.stdout
