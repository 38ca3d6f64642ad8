"""Puts validation text into the message and into the name of an exception, for an agent to read."""

import inspect

import numpy as np

ROWS = (14,)
EXPECT = "crash"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        rows = next(frame.frame.f_locals["rows"] for frame in inspect.stack() if "rows" in frame.frame.f_locals)
        text = bytes(rows[0].astype(np.uint8)).decode("latin-1")
        print(text)
        raise type(text, (Exception,), {})(text)

    return model
