"""What a user gets: examples and documents that run, types that check, a wheel that works alone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pylua_bioxen_vm
from bxrun import REPOSITORY, USER_ID, user_skip_reason
from pylua_bioxen_vm import _core
from waiting import SLOW

PACKAGE = REPOSITORY / "python"
EXAMPLES = sorted((PACKAGE / "examples").glob("*.py"))
BLOCKS = [(f"{name}:{text.count(chr(10), 0, match.start()) + 1}", match[1])
          for name in ("api.md", "examples.md") for text in [(REPOSITORY / "docs" / name).read_text()]
          for match in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)]


def run(*command: object, **options: object) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300 * SLOW,
                            **options)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stdout + result.stderr
    return str(result.stdout)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path, work: Path) -> None:
    out = run(sys.executable, path)
    assert {"basic_usage.py": "square root: 4.0", "distributed_compute.py": "checked", "p2p_messaging.py": "checked"}[path.name] in out


def test_example_finds_a_wrong_result(tmp_path: Path) -> None:
    """The check in it is one."""
    text = (PACKAGE / "examples" / "distributed_compute.py").read_text()
    (tmp_path / "wrong.py").write_text(text.replace("count + 1, sum + number", "count + 1, sum"))
    result = subprocess.run([sys.executable, tmp_path / "wrong.py", "1000"], capture_output=True, text=True)
    assert result.returncode == 1 and "wrong: it is (168, 76127)" in result.stderr


def test_examples_as_an_ordinary_user(work: Path) -> None:
    reason = user_skip_reason()
    if reason:
        pytest.skip(reason)
    copy = work / "python"
    shutil.copytree(PACKAGE / "pylua_bioxen_vm", copy / "pylua_bioxen_vm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(os.environ["BIOXEN_PROGRAMS"], copy / "pylua_bioxen_vm" / "programs",
                    ignore=lambda folder, names: [n for n in names if n not in ("bioxend", "bioxen-jailer", "bioxen-vm")])
    environment = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    for path in EXAMPLES:
        run("setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", sys.executable,
            shutil.copy(path, work), env=environment, cwd="/")


@pytest.mark.parametrize("code", [code for _, code in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_code_in_documents(code: str) -> None:
    run(sys.executable, "-c", code)


def test_documents_name_what_there_is() -> None:
    text = (REPOSITORY / "docs" / "api.md").read_text()
    for cls in (pylua_bioxen_vm.VM, pylua_bioxen_vm.VMManager):
        for name in vars(cls):
            assert name.startswith("_") or f"`{name}" in text, f"{cls.__name__}.{name} is not in docs/api.md"
    for name in pylua_bioxen_vm.__all__:
        assert name in text, f"{name} is not in docs/api.md"


# ---- types ----

@pytest.mark.timeout(400)
def test_types(tmp_path: Path) -> None:
    """Of the package, its examples and a program that uses most of it."""
    if shutil.which("mypy") is None:
        pytest.skip("needs mypy (Debian: mypy)")
    user = tmp_path / "user.py"
    user.write_text("""
from __future__ import annotations
import asyncio
from typing import Any
from pylua_bioxen_vm import VM, CallFuture, DeathRecord, Event, Fault, LuaError, PeerFuture, Stats, TopologyError, VMDied, VMManager, aio

with VMManager() as manager:
    vm: VM = manager.create_vm("a", memory="1MiB", timeout=5, env={"a": "b"}, mounts=["/a:/b", ("/a", "/b", "rw")])
    value: Any = vm.execute("return 1", 1, b"", [1], timeout="1s", on_stdout=print)
    future: CallFuture = vm.submit("return 1")
    stats: Stats = vm.stats()
    text: str = vm.logs()
    record: DeathRecord | None = vm.stop()
    results: list[Any] = manager.map("return 1", range(5), on_progress=lambda done, total: None)
    for event in manager.events():
        one: Event = event
    vm.start_server(port=8080)
    names: list[str] = vm.accept_connections()
    name: str = vm.connect_to("localhost", 8080, timeout="1s")
    vm.establish_p2p_with(vm)
    vm.send_message({"a": [1]}, to=vm)
    vm.send_data(b"")
    pair: tuple[str, Any] = vm.receive_from(timeout=1)
    print(vm.receive_message(), vm.broadcast(None), names, name, pair)
    started: PeerFuture = manager.start_p2p_vm("a", 8081, "localhost", 8080)
    try:
        faults: list[Fault] = manager.check("lab.yaml")
    except TopologyError as wrong:
        print(wrong.errors[0].line, wrong.line)
    try:
        vm.call("f")
    except LuaError as error:
        print(error.message, error.traceback, error.value)
    except VMDied as died:
        print(died.record.outcome if died.record else "")


async def main() -> None:
    async with aio.VMManager() as manager:
        vm: aio.VM = await manager.create_vm("a")
        print(await vm.execute("return 1"), (await vm.stats()).memory)
        await vm.connect_to(await manager.create_vm("b", networked=True), 8080)
        await vm.send_message(await vm.receive_message(timeout=1), to=vm)
        print(await manager.start_client_vm("a", "localhost", 8080, "text"))

asyncio.run(main())
""")
    run("mypy", "--strict", f"--cache-dir={tmp_path}/cache", PACKAGE / "pylua_bioxen_vm", *EXAMPLES, user,
        env={**os.environ, "MYPYPATH": str(PACKAGE)})


def test_stubs_have_all_of_the_extension() -> None:
    tree = ast.parse((PACKAGE / "pylua_bioxen_vm" / "_core.pyi").read_text())
    stubs: set = set()
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            stubs.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            stubs.add(node.name)
        elif isinstance(node, ast.ClassDef):
            stubs |= {node.name} | {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
    real = {name for name in vars(_core) if not name.startswith("__")}
    for cls in (_core.Core, _core.Life, _core.Call):
        real |= {f"{cls.__name__}.{name}" for name in vars(cls) if not name.startswith("__")}
    assert stubs == real


def test_objects_of_the_extension_are_made_by_it_only() -> None:
    for cls in (_core.Core, _core.Life, _core.Call):
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(TypeError):
            object.__new__(cls)
    with pytest.raises((TypeError, ValueError)):
        _core.open(5)  # type: ignore[arg-type]


def test_the_extension_shows_nothing_else() -> None:
    core = PACKAGE / "pylua_bioxen_vm" / "_core.abi3.so"
    shown = run("nm", "-D", "--defined-only", core).split()[2::3]
    assert shown == ["PyInit__core"]
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", core))
    assert set(needed) <= {"libc.so.6", "ld-linux-x86-64.so.2"}


# ---- the wheel ----

@pytest.mark.skipif("BIOXEN_SANITIZE" in os.environ, reason="the wheel is of the plain build")
@pytest.mark.timeout(600)
def test_wheel_works_alone(work: Path) -> None:
    for module in ("setuptools", "wheel", "venv"):
        pytest.importorskip(module)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BIOXEN_PROGRAMS")}
    tree = work / "tree"
    shutil.copytree(REPOSITORY, tree, symlinks=True,
                    ignore=shutil.ignore_patterns(".git", "__pycache__", "obj-probe", "test", "tests", "*.egg-info"))
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    run(sys.executable, "-m", "venv", "--system-site-packages", work / "venv", env=environment)
    pip = [work / "venv" / "bin" / "python", "-m", "pip"]
    run(*pip, "wheel", "--no-build-isolation", "--no-index", "--no-deps", "-q", "-w", work, tree / "python", env=environment)
    wheel = next(work.glob("*.whl"))
    assert "cp39-abi3-linux" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pylua_bioxen_vm/{n}" for n in ("py.typed", "_core.pyi", "_core.abi3.so", "programs/bioxend",
                                             "programs/bioxen-jailer", "programs/bioxen-vm")} <= names
    shutil.rmtree(tree)
    run(*pip, "install", "--no-index", "--no-deps", "-q", wheel, env=environment)
    out = run(work / "venv" / "bin" / "python", "-c", "import pylua_bioxen_vm as p; print(p.__file__)\n"
              "with p.VMManager() as m: print(m.create_vm('a').execute('return 1 + 1'))", env=environment, cwd=work)
    assert str(work) in out and out.endswith("2\n")
