"""Addresses that a coding agent may reach: public ones, and those that the user's own settings name."""

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

CONNECT_TIMEOUT_S = 30.0
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"\b(https?)://(?:[^\s/@\"']*@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?", re.I)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})", re.I)
_METADATA = ipaddress.ip_address("168.63.129.16")  # a public address that Azure answers inside each machine
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The agent may not reach this address."""


@dataclass(frozen=True)
class Address:
    """A host and a port, as they are written."""

    host: str
    port: int

    @classmethod
    def read(cls, host: str, port: int | str) -> "Address":
        """Return the address without brackets and capitals. Raises ValueError for a port that cannot be."""
        if not 0 < int(port) < 1 << 16:
            raise ValueError(f"no port {port}")
        return cls(host.strip("[]").lower().rstrip("."), int(port))

    @property
    def is_here(self) -> bool:
        """Return whether this is a name of this machine's loopback."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        with suppress(ValueError):
            address = ipaddress.ip_address(self.host)
            return address.is_loopback or address.is_unspecified
        return False


def named_addresses(texts: Iterable[str]) -> frozenset[Address]:
    """Return the addresses in texts of the user: those of URLs, and `host:port` if that is a whole text."""
    return frozenset(each for text in texts for each in _named(text))


def _named(text: str) -> Iterator[Address]:
    whole = _HOST_AND_PORT.fullmatch(text.strip())
    found = [(host, port or _PORTS[scheme.lower()]) for scheme, host, port in _URL.findall(text)]
    for host, port in [*found, *([(whole[1], whole[2])] if whole else [])]:
        with suppress(ValueError):
            yield Address.read(host, port)


def connect(address: Address, named: Collection[Address]) -> socket.socket:
    """Connect to an address that is named, or public. Raises Refused, OSError.

    A name is resolved once, and refused if any of its addresses is not public.
    """
    if address in named:
        return socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    found = require_public(address)
    server = _connect_to_one(found, address.port)
    if server.getsockname()[0] == server.getpeername()[0]:
        server.close()
        raise Refused(f"{address.host} is this machine")
    return server


def require_public(address: Address) -> list[IpAddress]:
    """Return the public addresses of a host. Raises Refused, OSError."""
    rows = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    found = [ipaddress.ip_address(str(row[4][0]).split("%")[0]) for row in rows]
    if private := next((each for each in found if not is_public(each)), None):
        advice = "name it in a setting of the tool if it is yours"
        raise Refused(f"{address.host} is {private}, an address of this machine or its network; {advice}")
    return found


def is_public(address: IpAddress) -> bool:
    """Return whether an address belongs to the internet, also as an IPv4 address inside an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and address != _METADATA


def _connect_to_one(found: Iterable[IpAddress], port: int) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in dict.fromkeys(found):
        try:
            return socket.create_connection((str(address), port), CONNECT_TIMEOUT_S)
        except OSError as error:
            failure = error
    raise failure
