"""Doors of a cell with a network: TCP ports on its own loopback, behind which its owner decides what is reached.

With a network namespace the cell has nothing but these ports: it opens the listening sockets before it is confined, and
hands them to its owner, which lives outside and accepts there. Without one, Landlock allows connections to these ports
only, where the owner itself listens, and seccomp refuses to listen and everything except TCP.
"""

import fcntl
import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

MAX_SOCKETS = 64  # of two for each door
LANDLOCK_TCP = 4  # the first Landlock that knows TCP ports
FIRST_FREE_PORT = 1024
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def open_inside(control: int, ports: Sequence[int]) -> None:
    """Listen on ports of this process's own loopback, and send the sockets to the owner. Raises OSError."""
    _start_loopback()
    sockets = [each for port in ports for each in _listen(port)]
    with socket.socket(fileno=fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, 3)) as owner:
        socket.send_fds(owner, [json.dumps({"doors": list(ports)}).encode()], [each.fileno() for each in sockets])
    for each in sockets:
        each.close()


def is_safe_anywhere(port: int) -> bool:
    """Return whether a port may be opened at every address, as Landlock does; clouds have their metadata at port 80."""
    return port >= FIRST_FREE_PORT


def state(network: bool, namespaces: Sequence[str], landlock: int, seccomp: bool) -> str:
    """Describe what of the network a cell reaches: none, doors, or open."""
    if not network:
        return "none"
    return "doors" if "net" in namespaces or (landlock >= LANDLOCK_TCP and seccomp) else "open"


def _start_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _listen(port: int) -> list[socket.socket]:
    found = [_listen_at(socket.AF_INET, "127.0.0.1", port)]
    with suppress(OSError):  # a kernel may lack IPv6
        found.append(_listen_at(socket.AF_INET6, "::1", port))
    return found


def _listen_at(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.bind((host, port))
        listening.listen(64)
    except OSError:
        listening.close()
        raise
    return listening
