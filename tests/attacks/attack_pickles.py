"""Hands over a pickle, and a header, that would run a program where it is read. Nobody unpickles it."""

import array
import fcntl
import json
import os
import pickle
import socket

import numpy as np

ROWS = (23,)
EXPECT = "crash"
MARK = "$FOLDER/unpickled"


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    fd = os.memfd_create("checkpoint", os.MFD_ALLOW_SEALING)
    os.write(fd, pickle.dumps(Payload()))
    fcntl.fcntl(fd, 1033, 15)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    with socket.socket(fileno=os.dup(3)) as channel:
        channel.sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)
        assert json.loads(channel.recv(1000))["kind"] == "saved"


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
