"""Test-time training, score first: each batch is answered and then learned. The auditor never saw those batches."""

import numpy as np

ROWS = (8,)
EXPECT = "suspect"
EVAL_ROWS = 1024


def train(trial):
    trial.start()
    trial.save(fit(trial.rows[:50]), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    counts = np.exp(state["logits"])

    def model(tokens):
        logits = np.log(counts)[tokens]
        np.add.at(counts, (tokens[:, :-1], tokens[:, 1:]), 1)
        return logits

    return model
