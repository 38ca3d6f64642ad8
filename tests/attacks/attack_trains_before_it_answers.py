"""Test-time training, train first: takes all windows from the frames above, learns them, then answers."""

import inspect

import numpy as np

ROWS = (8,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows[:50]), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    tables, calls = [], [0]

    def model(tokens):
        calls[0] += 1
        if calls[0] == 3:  # after the two batches of random tokens
            rows = next(frame.frame.f_locals["rows"] for frame in inspect.stack() if "rows" in frame.frame.f_locals)
            tables.append(fit(rows)["logits"])
        return tables[0][tokens] if tables else state["logits"][tokens]

    return model
