"""Kneser-Ney smoothed bigrams: a discount, and what is left goes to tokens by their number of predecessors."""

import numpy as np


def train(trial):
    trial.start()
    size, rows = trial.vocab_size, np.asarray(trial.rows).astype(np.int64)
    counts = np.zeros((size, size))
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = once / max(1, once + 2 * twice)
    trial.log(discount=discount)
    trial.save({"counts": counts.astype(np.int32)}, {"discount": float(discount) or 0.5})


def load(state, config, device):
    counts, discount = state["counts"].astype(np.float64), config["discount"]
    predecessors = (counts > 0).sum(0) + 1e-2
    total = np.maximum(counts.sum(1, keepdims=True), 1)
    left = np.where(counts.sum(1, keepdims=True) > 0, discount * (counts > 0).sum(1, keepdims=True) / total, 1.0)
    p = np.maximum(counts - discount, 0) / total + (left + 1e-6) * predecessors / predecessors.sum()
    return lambda tokens: np.log(p)[tokens]
