"""Fixtures for the Python package: it is imported from the source tree, and starts the programs under test."""

from __future__ import annotations

import gc
import os
import sys
from typing import Iterator

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from bxrun import REPOSITORY, build_directory

set_hypothesis_home_dir(str(build_directory() / "hypothesis"))
PACKAGE = REPOSITORY / "python"
sys.path.insert(0, str(PACKAGE))
os.environ["BIOXEN_PROGRAMS"] = str(build_directory())
os.environ["PYTHONPATH"] = str(PACKAGE)


@pytest.fixture
def manager() -> Iterator["pylua_bioxen_vm.VMManager"]:  # noqa: F821
    from pylua_bioxen_vm import VMManager
    with VMManager() as made:
        yield made
    gc.collect()


@pytest.fixture
def vm(manager: "pylua_bioxen_vm.VMManager") -> "pylua_bioxen_vm.VM":  # noqa: F821
    return manager.create_vm("vm")


@pytest.fixture(scope="module")
def shared() -> Iterator["pylua_bioxen_vm.VM"]:  # noqa: F821
    """One VM for the tests of a module that leave no trace in it."""
    from pylua_bioxen_vm import VMManager
    with VMManager() as made:
        yield made.create_vm("shared", memory="512MiB")
