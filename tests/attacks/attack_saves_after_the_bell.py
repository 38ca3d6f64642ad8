"""Saves in time, then leaves threads and daemons that go on, past its own end, and save something else."""

import array
import fcntl
import json
import os
import socket
import threading
import time

import numpy as np

ROWS = (20,)
EXPECT = "ok"
BUDGET = "1s"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    threading.Thread(target=save_later, args=(1.1,), daemon=True).start()
    for delay in (1.1, 1.2, 2.0):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                save_later(delay)
            os._exit(0)
    time.sleep(600)


def save_later(delay):
    channel = socket.socket(fileno=os.dup(3))
    time.sleep(delay)
    fd = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    os.write(fd, b"something else")
    fcntl.fcntl(fd, 1033, 15)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    channel.sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
