"""A mistake more than an attack: a model that averages over the whole window, what follows included."""

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
    def model(tokens):
        words = np.eye(256)[tokens].mean(1, keepdims=True)
        return state["logits"][tokens] + np.log(0.01 + words)

    return model
