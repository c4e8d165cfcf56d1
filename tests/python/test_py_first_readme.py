"""The README that the package was announced with runs word for word, but for an import line that was never Python."""

from __future__ import annotations

import concurrent.futures
import re
from pathlib import Path
from typing import Any

import pytest

from pylua_bioxen_vm import VMManager
from waiting import SLOW

README = (Path(__file__).parent / "data" / "first-readme.md").read_text()
IMPORT = "from pylua-bioxen-vm import VMManager"
BLOCKS = [block.replace(IMPORT, "from pylua_bioxen_vm import VMManager") for block in re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)]
QUICK_START, SERVER, CLIENT, P2P, EXAMPLE = BLOCKS


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_import_line_is_what_is_mended() -> None:
    assert README.count(IMPORT) == 2 and [block.count("pylua_bioxen_vm") for block in BLOCKS] == [1, 0, 0, 0, 1]


@pytest.mark.timeout(120)
def test_quick_start(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(QUICK_START)
    assert capsys.readouterr().out == "4.0\n"
    assert names["result"] == 4.0 and isinstance(names["result"], float)
    assert names["message"] == "Hello from VM2!"
    assert names["vm1"].state == names["vm2"].state == "stopped"


@pytest.mark.timeout(120)
def test_server_and_client_mode(manager: VMManager) -> None:
    """"hostname" is a VM."""
    server, client = manager.create_vm("hostname"), manager.create_vm("client")
    run(SERVER, vm=server)
    run(CLIENT, vm=client, port=8080)
    assert server.receive_message(timeout=30 * SLOW) == "message"
    assert server.accept_connections() == ["client"]


@pytest.mark.timeout(120)
def test_p2p_mode(manager: VMManager) -> None:
    vm1, vm2 = manager.create_vm("vm1"), manager.create_vm("vm2")
    run(P2P, vm1=vm1, vm2=vm2)
    assert vm2.receive_from(timeout=30 * SLOW) == ("vm1", "Hello network!")


@pytest.mark.timeout(120)
def test_example_usage() -> None:
    names = run(EXAMPLE)
    assert all(isinstance(names[name], concurrent.futures.Future) for name in ("server_future", "client_future", "p2p_future"))
    # and once more, without the end of the block coming at once
    with VMManager() as manager:
        futures = run(EXAMPLE.replace("with VMManager() as manager:", "if True:"), manager=manager)
        assert futures["server_future"].result(30 * SLOW) == "Hello!"
        assert futures["client_future"].result(30 * SLOW) == futures["p2p_future"].result(30 * SLOW) == "server"


@pytest.mark.parametrize("name", re.findall(r"`(\w+\.py)`", README))
def test_named_examples_are_there(name: str) -> None:
    """test_py_package.py runs them."""
    assert (Path(__file__).parents[2] / "python" / "examples" / name).is_file()
