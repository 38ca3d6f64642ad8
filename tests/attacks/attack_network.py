"""Calls home in every way: TCP, UDP, names, Unix sockets on paths and in the abstract, raw packets, io_uring."""

import ctypes
import os
import socket
import struct

import numpy as np

ROWS = (29,)
EXPECT = "ok"
OPENED_BY = "landlock seccomp ns uid"
TCP, UDP, PATH, ABSTRACT = int("$TCP"), int("$UDP"), "$UNIX", "$TOKEN"
LIBC = ctypes.CDLL(None, use_errno=True)


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.2)
        sock.connect(address)


def send(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"val", address)


def from_a_pair(address):
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"val", address)


def ring():
    if LIBC.syscall(425, 1, bytes(256)) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")


def to_the_kernel():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack("IHHII", 16, 1, 0, 0, 0))


ATTEMPTS = {
    "connect": lambda: connect(socket.AF_INET, ("127.0.0.1", TCP)),
    "connect by IPv6": lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", TCP)),
    "send": lambda: send(socket.AF_INET, ("127.0.0.1", UDP)),
    "ask for a name": lambda: send(socket.AF_INET, ("127.0.0.53", 53)),
    "connect to a path": lambda: connect(socket.AF_UNIX, PATH),
    "send to a path": lambda: send(socket.AF_UNIX, PATH + "d"),
    "send to a path from a pair": lambda: from_a_pair(PATH + "d"),
    "connect to an abstract name": lambda: connect(socket.AF_UNIX, "\0" + ABSTRACT),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "talk to the kernel": to_the_kernel,
    "use a ring": ring,
    "use a machine's socket": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
    "use the kernel's ciphers": lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close(),
    "look at docker": lambda: connect(socket.AF_UNIX, "/var/run/docker.sock"),
    "reach another process": lambda: os.close(os.pidfd_open(int("$OWNER"))),
}


def escapes():
    """Names of the attempts that were not blocked."""
    through = []
    for name, attempt in ATTEMPTS.items():
        try:
            if attempt() is not False:
                through.append(name)
        except OSError as error:
            print(f"blocked: {name}: {error}")
    return through


def train(trial):
    trial.start()
    print(*(f"ESCAPED: {name}" for name in escapes()), sep="\n")
    trial.save(fit(trial.rows), {})


def load(state, config, device):
    assert not escapes()
    return lambda tokens: state["logits"][tokens]


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}
