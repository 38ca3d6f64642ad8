"""Forks as fast as it can, up to a number that a machine survives where nothing stops it."""

import os
import time

import numpy as np

ROWS = (41,)
EXPECT = "ok"
BUDGET = "1s"
MANY = 400


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    for _ in range(MANY):
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        except OSError:
            break
    time.sleep(600)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
