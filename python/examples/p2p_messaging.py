#!/usr/bin/env python3
"""P2P messaging: VMs that talk to each other over the manager's own network. Two say hello; then a mesh of peers elects
a leader, each by itself, and the result is checked.

    p2p_messaging.py [PEERS]
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from pylua_bioxen_vm import VM, PeerError, VMManager

# What each peer knows is in its VM: its own number, and the largest one that it has heard of.
PEER = """
local name, seed = ...
math.randomseed(seed)
draw = math.random(1, 1000000)
leader, largest = name, draw
function consider(from, number)
    if number > largest or (number == largest and from < leader) then leader, largest = from, number end
    return leader
end
"""


def hello(manager: VMManager) -> None:
    vm1 = manager.create_vm("vm1", networked=True)
    vm2 = manager.create_vm("vm2", networked=True)
    vm1.establish_p2p_with(vm2)
    vm1.broadcast("Hello network!")
    sender, message = vm2.receive_from(timeout="30s")
    print(f"vm2 hears from {sender}: {message}")
    vm2.send_message({"thanks": sender, "numbers": [1, 2.5]})
    print(f"vm1 hears: {vm1.receive_message(timeout='30s')}")
    vm2.kill()
    try:
        vm1.send_message("Are you there?")
    except PeerError as error:
        print(f"vm1 learns: {error}")


def elect(vm: VM, others: int) -> str:
    """One peer's part: tells everybody its number, and hears theirs."""
    vm.broadcast(vm.execute("return draw"))
    for _ in range(others):
        vm.call("consider", *vm.receive_from(timeout="30s"))
    return str(vm.execute("return leader"))


def main(count: int) -> int:
    with VMManager() as manager:
        hello(manager)
        peers = [manager.create_vm(f"peer-{i + 1}", networked=True) for i in range(count)]
        for i, peer in enumerate(peers):
            peer.execute(PEER, peer.name, 1000 + i)
            for other in peers[:i]:
                peer.establish_p2p_with(other)
        for peer in peers:
            assert len(peer.accept_connections()) == count - 1, f"{peer.name} is not connected to everybody"
        with ThreadPoolExecutor(count) as threads:
            votes = list(threads.map(elect, peers, [count - 1] * count))
        largest = max(peers, key=lambda peer: (peer.execute("return draw"), -peers.index(peer)))
    print(f"{count} peers elected {votes[0]}")
    if votes != [largest.name] * count:
        print(f"wrong: it is {largest.name}, and they said {', '.join(votes)}", file=sys.stderr)
        return 1
    print("checked: everybody named the same, and rightly")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 6))
