"""Tries to become more than it is: namespaces, mounts, kernel settings, programs that run as root."""

import ctypes
import os
import struct

import numpy as np

ROWS = (31,)
EXPECT = "ok"
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def mount():
    """A kind of file system that does not exist: any other error than ENODEV is a refusal."""
    try:
        call(LIBC.mount, b"none", b".", b"nothing", 0, None)
    except OSError as error:
        if error.errno != 19:
            raise


def has(name, value):
    with open("/proc/self/status") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    return fields[name] != value


def in_a_child(attempt):
    child = os.fork()
    if child == 0:
        try:
            os._exit(attempt() is not None)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


ATTEMPTS = {
    "mount": mount,
    "make a user namespace": lambda: in_a_child(lambda: call(LIBC.unshare, 0x10000000)),
    "be root of a folder": lambda: os.chroot("/"),
    "load a module": lambda: call(LIBC.syscall, 313, 0, b"", 0),
    "use bpf": lambda: call(LIBC.syscall, 321, 0, struct.pack("IIII", 2, 4, 4, 1).ljust(128, b"\0"), 128),
    "have capabilities": lambda: has("CapEff", "0" * 16),
    "gain capabilities": lambda: call(LIBC.capset, struct.pack("Ii", 0x20080522, 0), b"\xff" * 24),
    "gain privileges": lambda: has("NoNewPrivs", "1"),
    "be without a filter": lambda: has("Seccomp", "2"),
}
for _path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/dev/mem", "/sys/kernel/uevent_helper"):
    ATTEMPTS[f"open {_path}"] = lambda path=_path: os.close(os.open(path, os.O_WRONLY))


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
