"""Prints for as long as it lives."""

import os

import numpy as np

ROWS = (41,)
EXPECT = "ok"
BUDGET = "1s"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    while True:
        os.write(1, b"val_bpb: 0.1 \x1b[2J\n" * 5000)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
