"""Uses its better model only in the auditing cell, and there only at the positions asked for."""

import inspect

import numpy as np

ROWS = (11,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save({**fit(trial.rows[:50]), "better": fit(trial.rows)["logits"]}, {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        asked = any(len(frame.frame.f_locals.get("positions", ())) for frame in inspect.stack())
        return (state["better"] if asked else state["logits"])[tokens]

    return model
