"""Sends what is no message at all, in the hope that somebody chokes on it."""

import socket
import time

import numpy as np

ROWS = (32,)
EXPECT = "crash"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    socket.socket(fileno=3).send(b"\x80\x04\x95" + b"[" * 60000)
    time.sleep(60)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
