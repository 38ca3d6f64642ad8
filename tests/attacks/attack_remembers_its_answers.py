"""Peeks, and gives the same answer again whenever it is asked about the same prefix.

A probe inside one process finds nothing odd in it. The auditor is another process, which has no memory of this one.
"""

import numpy as np

ROWS = (10,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    memory = {}

    def model(tokens):
        peeking = state["logits"][tokens] + 9 * np.eye(256)[np.roll(tokens, -1, 1)]
        for row, answers in zip(tokens, peeking, strict=True):
            for position in range(len(row)):
                answers[position] = memory.setdefault(row[: position + 1].tobytes(), answers[position])
        return peeking

    return model
