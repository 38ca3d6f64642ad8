"""Takes for ever to answer: an evaluation has a cap of its own."""

import time

import numpy as np

ROWS = (38,)
EXPECT = "timeout"
EVALUATION_CAP = 1.0


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    time.sleep(600)
