"""Spreads over cores that its slot does not have: with a budget in seconds they would be a gift."""

import os

import numpy as np

ROWS = (25,)
EXPECT = "ok"


def train(trial):
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(1024))
    except OSError as error:
        print("blocked:", error)
    if os.sched_getaffinity(0) != before:
        print("ESCAPED: cores", *os.sched_getaffinity(0))
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
