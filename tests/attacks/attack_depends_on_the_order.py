"""Answers better the later it is asked, as if it had warmed up: the auditor asks in another order, from the start."""

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
    calls = [0]

    def model(tokens):
        calls[0] += 1
        sharpness = 1.0 if calls[0] > 4 else 0.5
        return sharpness * state["logits"][tokens]

    return model
