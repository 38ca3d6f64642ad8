"""Looks at the next token of the window. The auditor's windows do not hold it."""

import numpy as np

ROWS = (4,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens] + 9 * np.eye(256)[np.roll(tokens, -1, 1)]
