"""Sends messages without end, large ones and nonsense inside good ones, through threads and until the bell."""

import json
import socket
import threading
import time

import numpy as np

ROWS = (32, 41)
EXPECT = "ok"
BUDGET = "1s"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    large = json.dumps({"kind": "log", "values": {str(k): k for k in range(4000)}}).encode()
    deep = json.dumps({"kind": "log", "values": {"loss": 10**400, "x": None, "y": [[]]}}).encode()
    channel = socket.socket(fileno=3)

    def flood(message):
        while True:
            channel.send(message)

    for message in (large, deep, b'{"kind": "log"}', b'{"kind": "error?"}'):
        threading.Thread(target=flood, args=(message,), daemon=True).start()
    time.sleep(600)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
