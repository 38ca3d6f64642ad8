"""The network of a cell: its doors, and nothing else."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.cells import NO_NAMESPACES, run, spec, wait

from autoresearch.sandbox import landlock
from autoresearch.sandbox.cell import Cell

pytestmark = pytest.mark.slow  # a cell and a proxy for each test

CLOSED = [frozenset[str](), NO_NAMESPACES]
ATTEMPTS = """
import json, socket, sys, time
door, other = int(sys.argv[1]), int(sys.argv[2])

def tcp(host, port, family=socket.AF_INET):
    with socket.socket(family) as sock:
        sock.settimeout(5)
        sock.connect((host, port))
        return sock.recv(100).decode()

def fast_open(host, port):
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.sendto(b"x", 0x20000000, (host, port))
        return "sent"

def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (host, port))
        return "sent"

def serve(bind):
    with socket.socket() as sock:
        if bind:
            sock.bind(("0.0.0.0", 0))
        sock.listen()
        return f"listens on {sock.getsockname()[1]}"

def protocol(number):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, number) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", other))
        return "connected"

attempts = {
    "door": lambda: tcp("127.0.0.1", door),
    "other": lambda: tcp("127.0.0.1", other),
    "other over IPv6": lambda: tcp("::ffff:127.0.0.1", other, socket.AF_INET6),
    "metadata": lambda: tcp("169.254.169.254", 80),
    "public": lambda: tcp("192.0.2.1", 443),
    "fast open": lambda: fast_open("127.0.0.1", other),
    "udp": lambda: udp("127.0.0.1", other),
    "mptcp": lambda: protocol(262),
    "sctp": lambda: protocol(132),
    "listen": lambda: serve(False),
    "bind and listen": lambda: serve(True),
}
for name, attempt in attempts.items():
    began = time.monotonic()
    try:
        said = attempt()
    except OSError as error:
        said = type(error).__name__
    print(json.dumps([name, said, time.monotonic() - began]), flush=True)
"""


def greet(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"hello")


@contextmanager
def greeting(listening: socket.socket) -> Iterator[int]:
    thread = threading.Thread(target=greet, args=(listening,), daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def attempt(off: frozenset[str]) -> tuple[Cell, dict[str, tuple[str, float]], bool]:
    """Return the cell, what its attempts said and lasted, and whether anything reached the other port."""
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as other:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with datagrams, greeting(own) as door:
            datagrams.bind(other.getsockname())
            port = str(other.getsockname()[1])
            with Cell.start(spec(ATTEMPTS, str(door), port, network=True, doors=[door], off=off)) as cell:
                for each in cell.doors:
                    threading.Thread(target=greet, args=(each,), daemon=True).start()
                assert wait(lambda: not cell.is_running())
                lines = [json.loads(line) for line in cell.log().splitlines()]
            other.setblocking(False)
            datagrams.setblocking(False)
            reached = any(arrived(sock) for sock in (other, datagrams))
    return cell, {name: (said, seconds) for name, said, seconds in lines}, reached


def arrived(sock: socket.socket) -> bool:
    try:
        sock.accept() if sock.type == socket.SOCK_STREAM else sock.recv(1)
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("off", CLOSED, ids=["namespaces", "none"])
def test_a_cell_reaches_its_doors_and_nothing_else(off: frozenset[str]) -> None:
    if off and landlock.version() < 4:
        pytest.skip("this kernel has no Landlock for TCP")
    cell, said, reached = attempt(off)
    assert cell.layers["network"] == "doors" and cell.grade == "STRONG"
    assert said.pop("door")[0] == "hello"
    inside = {"listen", "bind and listen", "udp"} if "net" in cell.layers["ns"] else set()  # in its own network
    assert {name for name, (words, _) in said.items() if "Error" not in words and words != "timeout"} <= inside
    assert not reached
    assert max(seconds for _, seconds in said.values()) < 1  # refused at once


@pytest.mark.parametrize("off", [{"ns", "landlock"}, {"ns", "landlock>3"}, {"ns", "seccomp"}], ids=sorted)
def test_a_cell_that_reaches_more_is_weak_and_says_so(off: set[str]) -> None:
    with Cell.start(spec("pass", network=True, off=frozenset(off))) as cell:
        assert cell.layers["network"] == "open" and cell.grade == "WEAK"
        assert any("services of this machine" in words for words in cell.weaknesses)


@pytest.mark.skipif(landlock.version() < 4, reason="this kernel has no Landlock for TCP")
def test_no_door_leads_to_the_metadata_of_a_cloud() -> None:
    code = """
        import socket
        for port in (80, 8888):
            with socket.socket() as sock:
                sock.settimeout(0.5)
                try:
                    answer = sock.connect_ex(("169.254.169.254", port))
                except TimeoutError:
                    answer = 0
                print(port, "is refused" if answer == 13 else "is not")
    """
    assert run(code, network=True, doors=[80, 8888], off=NO_NAMESPACES) == (0, "80 is refused\n8888 is not\n")


def test_a_cell_without_landlock_for_tcp_still_cannot_listen() -> None:
    _, said, _ = attempt(frozenset({"ns", "landlock>3"}))
    assert {said[name][0] for name in ("listen", "bind and listen", "udp", "mptcp", "fast open")} == {"PermissionError"}


@pytest.mark.parametrize("off", CLOSED, ids=["namespaces", "none"])
def test_a_cell_of_a_trial_has_no_network(off: frozenset[str]) -> None:
    with Cell.start(spec("pass", off=off)) as cell:
        assert cell.layers["network"] == "none" and cell.doors == [] and cell.grade == "STRONG"


def test_a_socket_pair_works_with_a_network() -> None:
    code = "import socket; a, b = socket.socketpair(); a.sendall(b'x'); print(b.recv(1))"
    assert run(code, network=True, off=NO_NAMESPACES) == (0, "b'x'\n")


def test_the_doors_of_a_dead_cell_are_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        began = time.monotonic()
        with Cell.start(spec("import time; time.sleep(100)", network=True, doors=[port])) as cell:
            kept = list(cell.doors)
        assert all(each.fileno() == -1 for each in kept) and time.monotonic() - began < 20
