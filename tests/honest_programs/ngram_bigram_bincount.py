"""Counts bigrams of all rows with one bincount before anything else happens."""

import numpy as np


def train(trial):
    trial.start()
    rows, size = np.asarray(trial.rows).astype(np.int64), trial.vocab_size
    counts = np.bincount((rows[:, :-1] * size + rows[:, 1:]).ravel(), minlength=size * size).reshape(size, size)
    trial.save({"counts": counts}, {"smoothing": 0.3})


def load(state, config, device):
    logits = np.log(state["counts"] + config["smoothing"]).astype(np.float32)
    return lambda tokens: logits[tokens]
