"""Learns while it reads a window, from the part that it has read: legal, for nothing passes on to another window."""

import numpy as np

WEIGHT = 2.0


def train(trial):
    counts = np.full((256, 256), 0.5, np.float32)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x, y), 1)
    trial.save({"counts": counts}, {})


def load(state, config, device):
    def model(tokens):
        seen = WEIGHT * np.cumsum(np.eye(256, dtype=np.float32)[tokens], 1)
        return np.log(state["counts"][tokens] + 0.1 * seen)

    return model
