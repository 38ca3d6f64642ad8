"""Answers only for rows that it likes."""

import numpy as np

ROWS = (37,)
EXPECT = "crash"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens[tokens[:, 0] != 32]][: len(tokens) - 1]
