"""Looks for training data in the cells that score, to go on learning there off the clock."""

import os

import numpy as np

ROWS = (21,)
EXPECT = "ok"
OPENED_BY = "landlock ns uid"
TRAIN = "$TRAIN"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    assert not any(os.path.realpath(link).endswith(".bin") for link in links)
    try:
        open(TRAIN, "rb")
    except OSError:
        return lambda tokens: state["logits"][tokens]
    raise RuntimeError("found the training data")
