"""VMs of one manager that talk to each other: servers, clients, peers, and every way in which that fails."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from concurrent.futures import CancelledError, Future, wait
from typing import Any, Callable

import pytest

from pylua_bioxen_vm import BioxenError, LuaError, PeerError, VM, VMDied, VMManager, VMNotFound, VMTimeoutError, aio
from waiting import SLOW, wait_for

PATIENCE = 30 * SLOW


@pytest.fixture
def pair(manager: VMManager) -> tuple[VM, VM]:
    """A server and its client."""
    server, client = manager.create_vm("server", networked=True), manager.create_vm("client", networked=True)
    server.start_server(port=8080)
    assert client.connect_to("localhost", 8080) == "server"
    return server, client


# ---- who is in the network ----

def test_wired_when_it_is_needed(manager: VMManager) -> None:
    """With its state kept; and not before."""
    a, b = manager.create_vm("a"), manager.create_vm("b", networked=True)
    a.execute("kept = {1}")
    b.start_server(9000)
    connect = "local c, e = require('socket').connect('b', 9000) return c and 'in' or e"
    assert a.execute(connect) != "in"
    assert a.connect_to("b", 9000) == "b"
    assert a.execute("return kept") == [1] and a.execute(connect) == "in"


def test_never(manager: VMManager) -> None:
    """Its filter knows no sockets, and no call changes that."""
    alone, other = manager.create_vm("alone", networked=False), manager.create_vm("other")
    with pytest.raises(LuaError, match="not found"):
        alone.execute("require('socket').tcp()")
    for attempt in (lambda: alone.start_server(8080), lambda: alone.connect_to("other", 8080), lambda: alone.send_message(1),
                    lambda: alone.receive_message(1), lambda: alone.broadcast(1), lambda: alone.accept_connections(),
                    lambda: alone.establish_p2p_with(other), lambda: other.establish_p2p_with(alone)):
        with pytest.raises(PeerError, match="networked=False"):
            attempt()
    with pytest.raises(PeerError, match="no 'alone' that it could reach|nobody serves"):
        other.connect_to("alone", 8080)


def test_bad_networked(manager: VMManager) -> None:
    with pytest.raises(TypeError, match="networked"):
        manager.create_vm("a", networked="yes")  # type: ignore[arg-type]


def test_managers_are_apart(manager: VMManager) -> None:
    with VMManager() as others:
        stranger, vm = others.create_vm("stranger", networked=True), manager.create_vm("vm", networked=True)
        stranger.start_server(8080)
        for attempt in (lambda: vm.connect_to("localhost", 8080), lambda: vm.connect_to("stranger", 8080),
                        lambda: vm.connect_to(stranger, 8080), lambda: vm.establish_p2p_with(stranger)):
            with pytest.raises(PeerError):
                attempt()


# ---- messages ----

VALUES = [None, True, 0, -1, 2 ** 63 - 1, 1.5, float("inf"), "", "text", "\0", b"\xff\0", [1, [2, [3]]], {"a": {"b": [1.0]}}, {},
          {1.5: "x", "k": True}, "x" * 100_000]


def test_values(pair: tuple[VM, VM]) -> None:
    server, client = pair
    for value in VALUES:
        client.send_message(value, timeout=PATIENCE)
        received = server.receive_message(timeout=PATIENCE)
        assert received == value and type(received) is type(value)
    for value in VALUES:
        client.send_message(value, timeout=PATIENCE)
    assert [server.receive_message(timeout=PATIENCE) for _ in VALUES] == VALUES


def test_data(pair: tuple[VM, VM]) -> None:
    server, client = pair
    for data, expected in ((b"", ""), (b"\xff\0\n", b"\xff\0\n"), (bytearray(b"abc"), "abc"), (memoryview(b"abc"), "abc"), ("text", "text")):
        client.send_data(data, timeout=PATIENCE)
        assert server.receive_message(timeout=PATIENCE) == expected
    for wrong in (1, None, ["a"]):
        with pytest.raises(TypeError, match="send_message"):
            client.send_data(wrong)  # type: ignore[arg-type]


def test_what_cannot_cross(pair: tuple[VM, VM]) -> None:
    server, client = pair
    with pytest.raises(BioxenError):
        client.send_message(object())
    client.send_message("after", timeout=PATIENCE)
    assert server.receive_message(timeout=PATIENCE) == "after"


def test_answers(pair: tuple[VM, VM]) -> None:
    """A server's message goes to who wrote last."""
    server, client = pair
    client.send_message("question", timeout=PATIENCE)
    assert server.receive_from(timeout=PATIENCE) == ("client", "question")
    server.send_message("answer", timeout=PATIENCE)
    assert client.receive_from(timeout=PATIENCE) == ("server", "answer")
    assert server.accept_connections() == ["client"] and client.accept_connections() == ["server"]


def test_many_clients(manager: VMManager) -> None:
    server = manager.create_vm("server")
    server.start_server(8080)
    assert server.accept_connections() == []
    clients = [manager.create_vm(f"client-{i}") for i in range(5)]
    for client in clients:
        client.connect_to(server, 8080)
    names = sorted(client.name for client in clients)
    wait_for(lambda: sorted(server.accept_connections()) == names, 10, "all clients to be there")
    with pytest.raises(PeerError, match="say which one"):
        server.send_message("whom?")
    for i in range(20):
        for client in clients:
            client.send_message([client.name, i], timeout=PATIENCE)
    received: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(100):
        sender, (name, i) = server.receive_from(timeout=PATIENCE)
        assert sender == name
        received[name].append(i)
    assert all(numbers == list(range(20)) for numbers in received.values())
    assert sorted(server.broadcast("all", timeout=PATIENCE)) == names
    server.send_message("one", to=clients[3], timeout=PATIENCE)
    server.send_message("two", to="client-3", timeout=PATIENCE)
    assert [client.receive_message(timeout=PATIENCE) for client in clients] == ["all"] * 5
    assert [clients[3].receive_message(timeout=PATIENCE) for _ in range(2)] == ["one", "two"]


def test_peers(manager: VMManager) -> None:
    """Whoever made the connection: both may send."""
    vms = [manager.create_vm(name) for name in "abc"]
    a, b, c = vms
    a.establish_p2p_with(b)
    b.establish_p2p_with(c)
    a.establish_p2p_with(b)  # again is nothing new
    a.broadcast("Hello network!", timeout=PATIENCE)
    assert b.receive_from(timeout=PATIENCE) == ("a", "Hello network!")
    wait_for(lambda: sorted(b.accept_connections()) == ["a", "c"], 10, "both to be there")
    assert sorted(b.broadcast("from b", timeout=PATIENCE)) == ["a", "c"]
    assert a.receive_message(timeout=PATIENCE) == c.receive_message(timeout=PATIENCE) == "from b"
    c.send_message("from c", timeout=PATIENCE)
    assert b.receive_from(timeout=PATIENCE) == ("c", "from c")
    with pytest.raises(VMTimeoutError):
        c.receive_message(timeout=0)


def test_in_order_and_once(pair: tuple[VM, VM]) -> None:
    server, client = pair

    def send() -> None:
        for i in range(2000):
            client.send_message(i, timeout=PATIENCE)

    sender = threading.Thread(target=send)
    sender.start()
    assert [server.receive_message(timeout=PATIENCE) for _ in range(2000)] == list(range(2000))
    sender.join()
    with pytest.raises(VMTimeoutError):
        server.receive_message(timeout=0)


# ---- waiting ----

def test_receive_times_out(pair: tuple[VM, VM]) -> None:
    server, client = pair
    for timeout in (0, 0.1):
        began = time.monotonic()
        with pytest.raises(VMTimeoutError, match="no message came") as caught:
            server.receive_message(timeout=timeout)
        assert caught.value.record is None and time.monotonic() - began >= timeout
    client.send_message("late", timeout=PATIENCE)
    assert server.receive_message(timeout=PATIENCE) == "late"


def test_the_vms_own_timeout_is_the_default(manager: VMManager) -> None:
    vm = manager.create_vm("vm", timeout=0.2)
    vm.start_server(8080, timeout=PATIENCE)
    with pytest.raises(VMTimeoutError):
        vm.receive_message()


def test_others_are_served_while_one_waits(pair: tuple[VM, VM]) -> None:
    """One thread waits for a message that comes late; the VM executes meanwhile, and two may wait."""
    server, client = pair
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(server.receive_message(timeout=PATIENCE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(100):
        assert server.execute("return ...", i, timeout=PATIENCE) == i
    assert not got
    client.send_message(1, timeout=PATIENCE)
    client.send_message(2, timeout=PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(got) == [1, 2]


def test_a_wait_can_be_interrupted(pair: tuple[VM, VM]) -> None:
    server, client = pair
    failed: list[BaseException] = []

    def receive() -> None:
        try:
            server.receive_message()
        except BioxenError as error:
            failed.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    while thread.is_alive():
        server.interrupt()
        thread.join(0.05)
    assert isinstance(failed[0], LuaError) and "interrupted" in failed[0].message
    client.send_message("still there", timeout=PATIENCE)
    assert server.receive_message(timeout=PATIENCE) == "still there"


# ---- what fails ----

def test_nobody_serves(manager: VMManager) -> None:
    a, b = manager.create_vm("a", networked=True), manager.create_vm("b", networked=True)
    for attempt, message in (
            (lambda: a.connect_to("localhost", 8080), "no VM of this manager serves port 8080"),
            (lambda: a.connect_to("b", 8080), "nobody serves port 8080 of 'b'"),
            (lambda: a.connect_to(b, 8080), "nobody serves port 8080 of 'b'"),
            (lambda: a.connect_to("nobody", 8080), "there is no 'nobody' that it could reach"),
            (lambda: a.connect_to("a", 8080), "itself"),
            (lambda: a.send_message(1), "connected to nobody"),
            (lambda: a.send_message(1, to="nobody"), "no 'nobody'"),
            (lambda: a.broadcast(1), "connected to nobody")):
        began = time.monotonic()
        with pytest.raises(PeerError, match=message) as caught:
            attempt()
        assert isinstance(caught.value, ConnectionError) and isinstance(caught.value, BioxenError)
        assert caught.value.vm == "a" and time.monotonic() - began < PATIENCE / 2
    with pytest.raises(PeerError, match="connected to nobody"):
        manager.create_vm("c").receive_message()  # nobody can have sent anything to it
    with pytest.raises(VMTimeoutError):
        a.receive_message(timeout=0.1)  # but Lua code may, to one that is in the network


def test_lua_code_sends(manager: VMManager) -> None:
    """And receives: it is one network, and the same messages."""
    a, b = manager.create_vm("a", networked=True), manager.create_vm("b", networked=True)
    waiting = a.submit("bioxen = require 'bioxen' return bioxen.receive(...)", PATIENCE)
    b.start_server(8080)
    b.send_message({"from": "Python"}, to=a, timeout=PATIENCE)
    assert waiting.result(PATIENCE) == ("b", {"from": "Python"})
    a.execute("require('bioxen').send('b', {'from Lua', ...})", 1)
    assert b.receive_from(timeout=PATIENCE) == ("a", ["from Lua", 1])


def test_a_port_of_lua_code(manager: VMManager) -> None:
    """It can be connected to if its VM takes messages."""
    a, b = manager.create_vm("a", networked=True), manager.create_vm("b", networked=True)
    b.execute("l = assert(require('socket').bind('*', 8080))")
    with pytest.raises(PeerError, match="'b' takes no messages"):
        a.connect_to("b", 8080)
    b.execute("require 'bioxen'")
    assert a.connect_to("b", 8080) == "b"
    a.send_message("hello", timeout=PATIENCE)
    assert b.receive_from(timeout=PATIENCE) == ("a", "hello")


@pytest.mark.parametrize("port, kind", [(0, ValueError), (-1, ValueError), (65536, ValueError), (25208, ValueError), ("80", TypeError),
                                        (8080.0, TypeError), (True, TypeError), (None, TypeError)])
def test_bad_ports(manager: VMManager, port: Any, kind: type[Exception]) -> None:
    vm = manager.create_vm("vm")
    for attempt in (lambda: vm.start_server(port), lambda: vm.connect_to("localhost", port), lambda: manager.start_server_vm("vm", port),
                    lambda: manager.start_p2p_vm("vm", 8080, "localhost", port), lambda: manager.start_client_vm("vm", "localhost", port, 1)):
        with pytest.raises(kind, match="port"):
            attempt()


def test_a_port_served_twice(manager: VMManager) -> None:
    a, b = manager.create_vm("a"), manager.create_vm("b")
    a.start_server(8080)
    for vm in (a, b):
        with pytest.raises(PeerError, match="port 8080 is served already, by VM 'a'"):
            vm.start_server(8080)
    b.start_server(8081)
    assert b.connect_to("localhost", 8080) == "a" and a.connect_to("localhost", 8081) == "b"
    a.kill()
    b.start_server(8080)  # it is free again
    manager.create_vm("c").connect_to("localhost", 8080)


def test_a_port_that_the_script_has(manager: VMManager) -> None:
    vm = manager.create_vm("vm", networked=True)
    vm.execute("l = assert(require('socket').bind('*', 8080))")
    with pytest.raises(PeerError, match="8080 is in use"):
        vm.start_server(8080)
    vm.execute("l:close()")
    vm.start_server(8080)


def test_a_port_below_1024(manager: VMManager) -> None:
    with pytest.raises(PeerError, match="port 80: take one from 1024 on"):
        manager.create_vm("vm").start_server(80)


def test_a_restarted_server_serves_no_more(pair: tuple[VM, VM]) -> None:
    server, client = pair
    server.restart()
    with pytest.raises(PeerError):
        client.connect_to("localhost", 8080)
    server.start_server(8080)
    assert client.connect_to("localhost", 8080) == "server"
    client.send_message("again", timeout=PATIENCE)
    assert server.receive_message(timeout=PATIENCE) == "again"


def test_a_peer_that_died(pair: tuple[VM, VM]) -> None:
    """What it sent before is there, and then it is said."""
    server, client = pair
    client.send_message("before", timeout=PATIENCE)
    server.receive_message(timeout=PATIENCE)
    server.send_message("last words", timeout=PATIENCE)
    assert client.receive_message(timeout=PATIENCE) == "last words"
    errors: list[BaseException] = []

    def receive() -> None:
        try:
            client.receive_message()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    server.kill()
    thread.join(PATIENCE)
    assert len(errors) == 1 and isinstance(errors[0], PeerError) and "has ended" in str(errors[0])
    for attempt in (lambda: client.send_message("too late"), lambda: client.receive_message(timeout=PATIENCE),
                    lambda: client.broadcast("too late"), lambda: client.connect_to("localhost", 8080)):
        with pytest.raises(PeerError):
            attempt()
    assert client.execute("return 'lives'") == "lives"


def test_a_vm_that_dies_fails_its_own_calls(pair: tuple[VM, VM]) -> None:
    server, _ = pair
    future = server.manager.start_server_vm("server", port=8090)
    threading.Timer(0.1, server.kill).start()
    with pytest.raises(VMDied):
        server.receive_message()
    with pytest.raises(VMDied):
        future.result(PATIENCE)
    with pytest.raises(VMDied):
        server.start_server(8091)


def test_pickles(manager: VMManager) -> None:
    with pytest.raises(PeerError) as caught:
        manager.create_vm("a").connect_to("localhost", 8080)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(caught.value, protocol))
        assert type(copy) is PeerError and str(copy) == str(caught.value) and copy.__dict__ == caught.value.__dict__


# ---- the manager's futures ----

def test_futures(manager: VMManager) -> None:
    server_vm = manager.create_vm("server", networked=True)
    server = manager.start_server_vm("server", port=8080)
    manager.create_vm("client", networked=True)
    client = manager.start_client_vm("client", "localhost", 8080, "Hello!")
    manager.create_vm("p2p")
    p2p = manager.start_p2p_vm("p2p", 8081, "localhost", 8080)
    assert all(isinstance(future, Future) for future in (server, client, p2p))
    assert not wait([server, client, p2p], PATIENCE).not_done
    assert (server.result(), client.result(), p2p.result()) == ("Hello!", "server", "server")
    assert server_vm.receive_message(timeout=PATIENCE) == "Hello!"
    manager.get("client").connect_to("localhost", 8081)


def test_futures_fail(manager: VMManager) -> None:
    for name in "ab":
        manager.create_vm(name)
    serving = manager.start_server_vm("a", 8080)
    for future, message in ((manager.start_server_vm("b", 8080), "served already"), (manager.start_p2p_vm("b", 8080, "localhost", 8081), "served already"),
                            (manager.start_client_vm("b", "localhost", 8081, "x"), "no VM of this manager"),
                            (manager.start_p2p_vm("b", 8082, "localhost", 8081), "no VM of this manager")):
        with pytest.raises(PeerError, match=message):
            future.result(PATIENCE)
    with pytest.raises(VMNotFound):
        manager.start_server_vm("nobody", 8083)
    assert not serving.done()
    assert serving.cancel() and serving.cancelled()
    with pytest.raises(CancelledError):
        serving.result()
    assert manager.get("a").execute("return 1", timeout=PATIENCE) == 1


def test_a_client_waits_for_a_server_that_is_busy(manager: VMManager) -> None:
    """The port is known before it listens."""
    server, client = manager.create_vm("server"), manager.create_vm("client")
    busy = server.submit("local t = os.clock() + 0.3 while os.clock() < t do end")
    listening = manager.start_server_vm("server", 8080)
    sent = manager.start_client_vm("client", "localhost", 8080, "early")
    assert sent.result(PATIENCE) == "server" and listening.result(PATIENCE) == "early" and busy.done()
    busy = server.submit("local t = os.clock() + 0.5 while os.clock() < t do end")
    manager.start_server_vm("server", 8081)
    with pytest.raises(VMTimeoutError):
        client.connect_to("localhost", 8081, timeout=0.05)


def test_futures_end_with_the_manager() -> None:
    with VMManager() as manager:
        manager.create_vm("a")
        future = manager.start_server_vm("a", 8080)
    with pytest.raises((VMDied, CancelledError)):
        future.result(PATIENCE)


# ---- asyncio ----

def in_loop(body: Callable[[aio.VMManager], Any]) -> None:
    async def main() -> None:
        async with aio.VMManager() as manager:
            await asyncio.wait_for(body(manager), PATIENCE)

    asyncio.run(main())


def test_aio() -> None:
    async def body(manager: aio.VMManager) -> None:
        a, b, c = [await manager.create_vm(name) for name in "abc"]
        await a.start_server(8080)
        assert await b.connect_to("localhost", 8080) == "a" and await c.connect_to(a, 8080) == "a"
        waiting = asyncio.ensure_future(a.receive_from())
        assert await a.execute("return 1") == 1
        await b.send_message([1, 2])
        assert await waiting == ("b", [1, 2])
        await a.send_data(b"bytes")
        assert await b.receive_message() == "bytes"
        while sorted(await a.accept_connections()) != ["b", "c"]:
            await asyncio.sleep(0.01)
        assert sorted(await a.broadcast("all")) == ["b", "c"]
        assert await asyncio.gather(b.receive_message(), c.receive_message()) == ["all", "all"]
        await b.establish_p2p_with(c)
        await b.send_message("p2p", to=c)
        assert await c.receive_from() == ("b", "p2p")
        with pytest.raises(PeerError, match="served already"):
            await b.start_server(8080)
        with pytest.raises(VMTimeoutError):
            await a.receive_message(timeout=0.05)
        with pytest.raises(TypeError):
            await a.send_data(1)  # type: ignore[arg-type]

    in_loop(body)


def test_aio_started() -> None:
    async def body(manager: aio.VMManager) -> None:
        for name in ("server", "client", "p2p"):
            await manager.create_vm(name, networked=True)
        server = manager.start_server_vm("server", port=8080)
        client = manager.start_client_vm("client", "localhost", 8080, "Hello!")
        p2p = manager.start_p2p_vm("p2p", 8081, "localhost", 8080)
        assert await asyncio.gather(server, client, p2p) == ["Hello!", "server", "server"]
        with pytest.raises(PeerError):
            await manager.start_server_vm("client", 8080)
        with pytest.raises(VMNotFound):
            manager.start_server_vm("nobody", 8083)
        manager.start_server_vm("client", 8083)  # ends with the manager, and says nothing

    in_loop(body)


def test_aio_cancel() -> None:
    async def body(manager: aio.VMManager) -> None:
        vm = await manager.create_vm("a")
        await vm.start_server(8080)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(vm.receive_message(), 0.1)
        assert await vm.execute("return 'free'") == "free"

    in_loop(body)
