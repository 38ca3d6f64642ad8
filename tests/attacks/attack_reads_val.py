"""Reads the validation rows by every way that leads there, in every cell: an auditor with them would be believed."""

import ctypes
import os

import numpy as np

ROWS = (12,)
EXPECT = "ok"
OPENED_BY = "landlock ns uid"
VAL, OWNER = "$VAL", int("$OWNER")


def read(path):
    with open(path, "rb") as file:
        return len(file.read(64)) == 64


def by_link(make):
    name = f"link-{make.__name__}"
    if not os.path.lexists(name):
        make(VAL, name)
    return read(name)


def by_descriptor_of_the_owner():
    return any(read(f"/proc/{OWNER}/fd/{number}") for number in os.listdir(f"/proc/{OWNER}/fd"))


def by_its_handle():
    handle = ctypes.create_string_buffer(b"\x80\0\0\0" + bytes(140))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.name_to_handle_at(-100, VAL.encode(), handle, ctypes.byref(ctypes.c_int()), 0):
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    if libc.open_by_handle_at(os.open(".", os.O_RDONLY), handle, os.O_RDONLY) < 0:
        raise OSError(ctypes.get_errno(), "open_by_handle_at")


ATTEMPTS = {
    "read val": lambda: read(VAL),
    "list its folder": lambda: os.listdir(os.path.dirname(VAL)),
    "read val through /proc/self/root": lambda: read(f"/proc/self/root{VAL}"),
    "read val through the owner's root": lambda: read(f"/proc/{OWNER}/root{VAL}"),
    "read val through the owner's folder": lambda: read(f"/proc/{OWNER}/cwd/{os.path.relpath(VAL, '/')}"),
    "read val through a symbolic link": lambda: by_link(os.symlink),
    "read val through a hard link": lambda: by_link(os.link),
    "read val through a descriptor of the owner": by_descriptor_of_the_owner,
    "read val by its handle": by_its_handle,
    "execute val": lambda: os.posix_spawn(VAL, [VAL], {}),
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
