"""Goes on training in `load`, where the clock has stopped: the checkpoint carries the data for it.

Claim and audit agree, for both do the same work. Only the time that it takes gives it away.
"""

import numpy as np

ROWS = (21,)
EXPECT = "timeout"
BUDGET = "2cpu"
BASE = {"setup": 0.1, "load": 0.1, "answer": 0.1}  # what the base spent beside its budget, in CPU-seconds
STEPS_IN_TIME, STEPS_BESIDE = 20, 3000


def train(trial):
    trial.start()
    counts = np.zeros((256, 256), np.float32)
    np.add.at(counts, (trial.rows[:, :-1], trial.rows[:, 1:]), 1)
    trial.save(descend({"logits": np.zeros((256, 256), np.float32), "counts": counts}, STEPS_IN_TIME), {})


def descend(state, steps):
    """Fit a bigram table to counts by gradient descent, slowly."""
    logits, counts = state["logits"].copy(), state["counts"]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for _ in range(steps):
        p = np.exp(logits - logits.max(1, keepdims=True))
        logits += 0.5 * (share - p / p.sum(1, keepdims=True))
    return state | {"logits": logits}


def load(state, config, device):
    better = descend(state, STEPS_BESIDE)["logits"]
    return lambda tokens: better[tokens]
