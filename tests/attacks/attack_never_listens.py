"""Hands over checkpoint after checkpoint and never reads an answer, to make the referee wait past the bell."""

import array
import fcntl
import json
import os
import socket

import numpy as np

ROWS = (32,)
EXPECT = "crash"
BUDGET = "1s"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    fd = os.memfd_create("checkpoint", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(fd, 1033, 15)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    channel = socket.socket(fileno=3)
    while True:
        channel.sendmsg([json.dumps({"kind": "checkpoint"}).encode()], rights)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
