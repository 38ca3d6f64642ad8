"""Sends more descriptors in a message than anybody asked for."""

import array
import json
import os
import socket

import numpy as np

ROWS = (32,)
EXPECT = "crash"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [os.dup(1) for _ in range(200)]))]
    socket.socket(fileno=3).sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)
    os.read(0, 1)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
