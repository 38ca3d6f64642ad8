"""Three tables that vote: one token, two tokens, and what is common anyway."""

import numpy as np

BUCKETS = 4096


def train(trial):
    one = np.full((256, 256), 0.5, np.float32)
    two = np.full((BUCKETS, 256), 0.1, np.float32)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(one, (x, y), 1)
        np.add.at(two, (context(x), y), 1)
    trial.save({"one": one / one.sum(1, keepdims=True), "two": two / two.sum(1, keepdims=True)}, {})


def context(tokens):
    before = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
    return (tokens * 31 + before * 1009) % BUCKETS


def load(state, config, device):
    common = state["one"].mean(0)
    return lambda tokens: np.log(0.5 * state["two"][context(tokens)] + 0.4 * state["one"][tokens] + 0.1 * common)
