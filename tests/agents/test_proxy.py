"""The proxy of a coding agent, over real sockets."""

import base64
import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from autoresearch.agents.base import Unusable
from autoresearch.agents.command.addresses import Address, is_public, named_addresses
from autoresearch.agents.command.proxy import MAX_CONNECTIONS, Proxy
from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.launch import CellSpec


@contextmanager
def echo() -> Iterator[tuple[int, list[bytes]]]:
    """A server that repeats what it gets; the heads that it got are in the list."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                heads.append(data)
                connection.sendall(b"echo:" + data)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], heads
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(*named: Address) -> Iterator[Proxy]:
    with Proxy(named) as proxy:
        proxy.serve([])
        yield proxy


def credentials(proxy: Proxy) -> str:
    words = proxy.environment["http_proxy"].removeprefix("http://").partition("@")[0]
    return f"Proxy-Authorization: Basic {base64.b64encode(words.encode()).decode()}\r\n"


def ask(proxy: Proxy, request: str | bytes, then: bytes = b"") -> bytes:
    """Return all that the proxy answers to a request and what follows it."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as sock:
        sock.sendall(request if isinstance(request, bytes) else request.encode())
        sock.sendall(then)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


def test_a_named_server_is_reached_through_a_tunnel_and_by_its_url() -> None:
    with echo() as (port, heads), proxied(Address("127.0.0.1", port)) as proxy:
        tunnel = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{credentials(proxy)}\r\n"
        assert ask(proxy, tunnel, b"first").split(b"\r\n\r\n") == [
            b"HTTP/1.1 200 Connection established",
            b"echo:first",
        ]
        url = f"POST http://127.0.0.1:{port}/v1/x?y=1 HTTP/1.1\r\nHost: h\r\n{credentials(proxy)}X: 1\r\n\r\nbody"
        assert ask(proxy, url).startswith(
            b"echo:POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX: 1\r\nConnection: close\r\n\r\n"
        )
        assert b"Proxy-Authorization" not in b"".join(heads)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "169.254.169.254", "[fe80::1]", "10.0.0.1", "192.168.0.1",
        "172.16.0.1", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_network_are_refused_at_once(host: str) -> None:
    with echo() as (port, heads), proxied(Address("127.0.0.1", port + 1)) as proxy:
        began = time.monotonic()
        for request in (f"CONNECT {host}:{port} HTTP/1.1", f"GET http://{host}:{port}/latest/meta-data HTTP/1.1"):
            answer = ask(proxy, f"{request}\r\n{credentials(proxy)}\r\n")
            assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 502", b"HTTP/1.1 400")), answer
        assert heads == [] and time.monotonic() - began < 2


@pytest.mark.parametrize(
    "request_text",
    [
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n",
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: Basic Y2VsbDp4\r\n\r\n",
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: Basic %%%\r\n\r\n",
        "GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n",
    ],
)
def test_a_stranger_is_refused(request_text: str) -> None:
    with echo() as (port, heads), proxied(Address("127.0.0.1", port)) as proxy:
        assert ask(proxy, request_text.format(port=port)).startswith(b"HTTP/1.1 407")
        assert heads == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET ftp://x/ HTTP/1.1\r\n\r\n",
        b"CONNECT x HTTP/1.1\r\n\r\n", b"CONNECT x:99999 HTTP/1.1\r\n\r\n", b"CONNECT x:-1 HTTP/1.1\r\n\r\n",
        b"CONNECT \xff:1 HTTP/1.1\r\n\r\n", b"GET http://[::1/ HTTP/1.1\r\n\r\n", b"x" * 200_000,
        b"CONNECT x:" + b"9" * 5000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_garbage_is_refused_and_the_proxy_goes_on(garbage: bytes) -> None:
    with echo() as (port, _), proxied(Address("127.0.0.1", port)) as proxy:
        try:
            assert ask(proxy, garbage).startswith(b"HTTP/1.1 400")
        except ConnectionError:
            assert len(garbage) > 65536
        tunnel = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{credentials(proxy)}\r\n"
        assert b"echo:x" in ask(proxy, tunnel, b"x")


@pytest.mark.parametrize("host", ["a" * 80 + ".example", "..", "nul%00", "no-such-name.invalid"])
def test_a_name_that_is_none_is_a_bad_gateway(host: str) -> None:
    with proxied() as proxy:
        answer = ask(proxy, f"CONNECT {host}:443 HTTP/1.1\r\n{credentials(proxy)}\r\n")
        assert answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 403"))


def test_connections_are_limited_and_end_with_the_proxy() -> None:
    before = threading.active_count()
    with echo() as (port, _), proxied(Address("127.0.0.1", port)) as proxy:
        held = [socket.create_connection(("127.0.0.1", proxy.port), timeout=20) for _ in range(MAX_CONNECTIONS)]
        held[0].sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{credentials(proxy)}\r\n".encode())
        assert held[0].recv(100).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as surplus:
            assert surplus.recv(1) == b""
        proxy.close()
        assert held[0].recv(1) == b""
        for each in held:
            each.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


# --- together with a cell

BROWSE = """
import os, socket, sys
proxied = os.environ["http_proxy"].rpartition(":")[2]
for port, through in ((sys.argv[1], True), (sys.argv[1], False), (sys.argv[2], True), (sys.argv[2], False)):
    try:
        with socket.create_connection(("127.0.0.1", int(proxied if through else port)), timeout=5) as sock:
            head = f"GET http://127.0.0.1:{port}/ HTTP/1.1" if through else "GET / HTTP/1.1"
            sock.sendall((head + "\\r\\n" + sys.argv[3] * through + "\\r\\n").encode())
            print(sock.recv(100).split(b"\\r\\n")[0].decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("off", [frozenset[str](), frozenset({"ns"})], ids=["namespaces", "none"])
def test_a_cell_reaches_the_model_and_not_the_rest_of_loopback(off: frozenset[str]) -> None:
    with echo() as (model, _), echo() as (other, heads), Proxy([Address("127.0.0.1", model)]) as proxy:
        program = [sys.executable, "-I", "-c", BROWSE, str(model), str(other), credentials(proxy)]
        spec = CellSpec(program, network=True, doors=proxy.doors, environment=proxy.environment, off=off)
        with Cell.start(spec) as cell:
            proxy.serve(cell.doors)
            deadline = time.monotonic() + 20
            while cell.is_running() and time.monotonic() < deadline:
                time.sleep(0.01)
            said = cell.log().splitlines()
    assert said[:2] == ["echo:GET / HTTP/1.1", "echo:GET / HTTP/1.1"]
    assert said[2] == "HTTP/1.1 403 Forbidden" and said[3] in ("PermissionError", "ConnectionRefusedError")
    assert heads == []


# --- the user's own proxy


def test_the_users_proxy_is_used_except_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with echo() as (port, heads), echo() as (model, _):
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
        with proxied(Address("127.0.0.1", model)) as proxy:
            secret = credentials(proxy)
            ask(proxy, f"CONNECT 198.51.100.7:443 HTTP/1.1\r\nHost: x\r\n{secret}\r\n")
            assert heads == []  # reserved for documentation: not public
            ask(proxy, f"CONNECT 1.1.1.1:443 HTTP/1.1\r\nHost: x\r\n{secret}\r\n", b"hello")
            authorization = base64.b64encode(b"me:p@ss").decode()
            expected = f"CONNECT 1.1.1.1:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {authorization}\r\n\r\n"
            assert b"".join(heads) == f"{expected}hello".encode()
            heads.clear()
            ask(proxy, f"GET http://1.1.1.1/a HTTP/1.1\r\n{secret}\r\n")
            assert b"".join(heads) == b"GET http://1.1.1.1:80/a HTTP/1.1\r\nConnection: close\r\n\r\n"
            heads.clear()
            assert b"echo:" in ask(proxy, f"GET http://127.0.0.1:{model}/ HTTP/1.1\r\n{secret}\r\n")
            assert ask(proxy, f"CONNECT 169.254.169.254:80 HTTP/1.1\r\n{secret}\r\n").startswith(b"HTTP/1.1 403")
            assert heads == []


@pytest.mark.parametrize(
    ("url", "words"),
    [("socks5://127.0.0.1:1080", "socks5://"), ("http://[::1", "cannot be read"), ("http://x:99999", "cannot be read")],
)
def test_a_proxy_of_another_kind_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, url: str, words: str) -> None:
    monkeypatch.setenv("all_proxy", url)
    with pytest.raises(Unusable, match=f"proxies of HTTP only, not through .*{words}"):
        Proxy([])


def test_a_proxy_that_is_not_needed_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in (("all", "socks5://x"), ("http", "x:1"), ("https", "x:1"), ("no", "[::1],*"), ("ftp", "y://z")):
        monkeypatch.setenv(f"{name}_proxy", url)
    with Proxy([]) as proxy:
        assert {each.hostname for each in proxy.upstream.values()} == {"x"}


# --- what is public, and what is named


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_addresses_are_found_in_settings() -> None:
    found = named_addresses(
        [
            'curl -d x "http://user:pass@127.0.0.1:11434/v1" && echo http://[::1]:8000',
            'base_url = "http://localhost:1234/v1"\nother = "https://api.example.com"',
            "gpu-box.lan:8080",
            "sk-ant-secret",
            "12:30 and 127.0.0.1:99",
            "http://x:99999/",
        ]
    )
    assert found == {
        Address("127.0.0.1", 11434), Address("::1", 8000), Address("localhost", 1234),
        Address("api.example.com", 443), Address("gpu-box.lan", 8080),
    }  # fmt: skip
    assert {each.port for each in found if each.is_here} == {11434, 8000, 1234}
