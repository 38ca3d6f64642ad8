"""Predicts a row from what the other rows of its batch hold, of what follows too."""

import numpy as np

ROWS = (9,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        beside = np.full((256, 256), 0.5)
        np.add.at(beside, (tokens[:, :-1], tokens[:, 1:]), 1)
        return np.log(beside)[tokens]

    return model
