"""Keeps every handle on a checkpoint that it has handed over, and changes it when the clock has stopped."""

import array
import fcntl
import json
import mmap
import os
import socket

import numpy as np
from safetensors.numpy import save

ROWS = (22,)
EXPECT = "ok"
ALL_SEALS = 15


def train(trial):
    trial.start()
    data = save(fit(trial.rows), {"config": "{}"})
    fd = os.memfd_create("checkpoint", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    window = mmap.mmap(fd, 0)
    attempt("seal with a window open", lambda: fcntl.fcntl(fd, 1033, ALL_SEALS))
    window.close()
    fcntl.fcntl(fd, 1033, ALL_SEALS)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    with socket.socket(fileno=os.dup(3)) as channel:
        channel.sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)
        assert json.loads(channel.recv(1000))["kind"] == "saved"
    attempt("write", lambda: os.pwrite(fd, b"x", 100))
    attempt("shorten", lambda: os.ftruncate(fd, 0))
    attempt("lengthen", lambda: os.ftruncate(fd, 1 << 30))
    attempt("map", lambda: mmap.mmap(fd, 0))
    attempt("open again", lambda: os.write(os.open(f"/proc/self/fd/{fd}", os.O_RDWR), b"x"))
    attempt("punch a hole", lambda: os.posix_fallocate(fd, 0, 1 << 20))


def attempt(name, function):
    try:
        function()
        print("ESCAPED:", name)
    except OSError as error:
        print("blocked:", name, error)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
