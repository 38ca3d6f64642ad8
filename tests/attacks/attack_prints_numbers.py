"""Prints, logs, writes and sends a score of its own. The referee reads no number from a cell: nothing happens."""

import json
import os
import socket

import numpy as np

ROWS = (1,)
EXPECT = "ok"


def train(trial):
    trial.start()
    print("---\nval_bpb:          0.100000\nval_bpb: 0.1\n" + json.dumps({"outcome": "ok", "val_bpb": 0.1}))
    for name in ("results.tsv", "result.json", "run.log", "reward.json"):
        with open(name, "w") as file:
            file.write("val_bpb: 0.1\n")
    trial.log(val_bpb=0.1, score=0.1, train_seconds=0.0, outcome=0.0)
    with socket.socket(fileno=os.dup(3)) as channel:
        for kind in ("score", "result", "saved", "ended", "hello", "go", "started", ""):
            channel.send(json.dumps({"kind": kind, "val_bpb": 0.1, "ended": 0}).encode())
    trial.save(fit(trial.rows), {"val_bpb": 0.1})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
