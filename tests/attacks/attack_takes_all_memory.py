"""Allocates until there is no more."""

import numpy as np

ROWS = (41,)
EXPECT = "oom"
MEMORY = 536_870_912  # bytes


def train(trial):
    trial.start()
    hoard = []
    while True:
        hoard.append(np.empty(1 << 22))


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
