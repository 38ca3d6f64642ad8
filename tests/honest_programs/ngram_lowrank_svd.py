"""Factorises the table of pointwise mutual information by an SVD; the model is the low-rank product."""

import numpy as np

RANK = 24


def train(trial):
    trial.start()
    size, rows = trial.vocab_size, np.asarray(trial.rows).astype(np.int64)
    counts = np.full((size, size), 0.1)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    joint = counts / counts.sum()
    left, right = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    u, s, v = np.linalg.svd(np.log(joint / left / right), full_matrices=False)
    state = {"left": u[:, :RANK] * s[:RANK], "right": v[:RANK], "bias": np.log(right[0])}
    trial.save({name: value.astype(np.float32) for name, value in state.items()}, {})


def load(state, config, device):
    return lambda tokens: state["left"][tokens] @ state["right"] + state["bias"]
