"""Lua virtual machines in jails of their own, from Python.

    from pylua_bioxen_vm import VMManager

    with VMManager() as manager:
        vm = manager.create_vm("a", memory="32MiB", timeout="5s")
        print(vm.execute("return math.sqrt(...)", 16))

``pylua_bioxen_vm.aio`` has the same for asyncio.
"""

import logging

from .errors import (BioxenError, ConversionError, Fault, HostError, LuaError, LuaSyntaxError, PeerError,
                     SandboxViolation, TopologyError, VMDied, VMExists, VMMemoryError, VMNotFound, VMTimeoutError)
from .events import Event, EventStream
from .fleet import Topology, TopologyVM
from .futures import CallFuture
from .manager import VMManager
from .peers import PeerFuture
from .records import DeathRecord, Limit, Stats
from .version import VERSION
from .vm import VM

__all__ = [
    "BioxenError", "CallFuture", "ConversionError", "DeathRecord", "Event", "EventStream", "Fault", "HostError", "Limit",
    "LuaError", "LuaSyntaxError", "PeerError", "PeerFuture", "SandboxViolation", "Stats", "Topology", "TopologyError", "TopologyVM", "VM",
    "VMDied", "VMExists", "VMManager", "VMMemoryError", "VMNotFound", "VMTimeoutError",
]
__version__ = VERSION

logging.getLogger(__name__).addHandler(logging.NullHandler())
