"""Hands over what is not a checkpoint: unsealed, an ordinary file, a pipe, a socket, a folder, too large, too many.

In the cells that score it tries to shorten, close and seal the memory that it answers in.
"""

import array
import fcntl
import json
import os
import socket

import numpy as np

ROWS = (32, 38)
EXPECT = "ok"
SEAL_ALL, SEAL_ALL_BUT_WRITE = 15, 7


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    with open("file", "wb") as file:
        file.write(b"x" * 100)
    bad = {
        "unsealed": memory(100, None),
        "writable": memory(100, SEAL_ALL_BUT_WRITE),
        "over 4 GiB": memory((4 << 30) + 1, SEAL_ALL),
        "a file": os.open("file", os.O_RDWR),
        "a folder": os.open(".", os.O_RDONLY),
        "a pipe": os.pipe()[0],
        "a socket": socket.socketpair()[0].detach(),
        "the channel": 3,
        "a terminal": os.open("/dev/null", os.O_RDWR),
        "a place": os.open(".", os.O_PATH),
    }
    with socket.socket(fileno=os.dup(3)) as channel:
        for name, fd in bad.items():
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            channel.sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)
            answer = json.loads(channel.recv(1000))
            print("blocked:" if answer["kind"] == "refused" else "ESCAPED:", name)
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").endswith(".bin"):
                os.write(os.open(f"/proc/self/fd/{fd}", os.O_RDWR), b"")
                print("ESCAPED: open the training rows to write")
        except OSError as error:
            print("blocked:", error)


def memory(size, seals):
    fd = os.memfd_create("bad", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, 1033, seals)
    return fd


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        for fd in range(3, 64):
            for spoil in (lambda fd: os.ftruncate(fd, 0), lambda fd: fcntl.fcntl(fd, 1033, 16)):
                try:
                    spoil(fd)
                except OSError:
                    continue
        return state["logits"][tokens]

    return model
