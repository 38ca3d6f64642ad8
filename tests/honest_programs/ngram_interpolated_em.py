"""Interpolates orders one to three; expectation-maximisation on held-out rows finds the weights."""

import numpy as np

BUCKETS = 2**12


def context(tokens):
    return (tokens * 7919 + np.pad(tokens, ((0, 0), (1, 0)))[:, :-1] * 104729) % BUCKETS


def experts(tables, x):
    shape = (*x.shape, tables["zero"].shape[-1])
    return [np.broadcast_to(tables["zero"], shape), tables["one"][x], tables["two"][context(x)]]


def train(trial):
    size = trial.vocab_size
    trial.start()
    rows = np.asarray(trial.rows[:1500]).astype(np.int64)
    x, y = rows[:, :-1], rows[:, 1:]
    seen, held = slice(0, len(rows) * 4 // 5), slice(len(rows) * 4 // 5, None)
    counts = {"zero": np.ones(size), "one": np.full((size, size), 0.01), "two": np.full((BUCKETS, size), 0.001)}
    np.add.at(counts["zero"], y[seen], 1)
    np.add.at(counts["one"], (x[seen], y[seen]), 1)
    np.add.at(counts["two"], (context(x[seen]), y[seen]), 1)
    tables = {name: (c / c.sum(-1, keepdims=True)).astype(np.float32) for name, c in counts.items()}
    likelihood = np.stack([np.take_along_axis(p, y[held][..., None], -1)[..., 0] for p in experts(tables, x[held])])
    weights = np.full(3, 1 / 3)
    for _ in range(10):
        share = weights[:, None, None] * likelihood
        weights = (share / share.sum(0)).mean((1, 2))
    trial.save(tables | {"weights": weights}, {})


def load(state, config, device):
    return lambda tokens: np.log(sum(w * p for w, p in zip(state["weights"], experts(state, tokens), strict=True)))
