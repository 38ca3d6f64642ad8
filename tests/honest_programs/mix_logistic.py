"""Mixes three tables in the logistic domain, with weights that gradient descent finds (as in PAQ)."""

import numpy as np

BUCKETS = 4096


def features(tables, tokens):
    before = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
    zero = np.broadcast_to(tables["zero"], (*tokens.shape, len(tables["zero"])))
    return np.stack([zero, tables["one"][tokens], tables["two"][(tokens * 31 + before * 1009) % BUCKETS]])


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def train(trial):
    size = trial.vocab_size
    trial.start()
    rows = np.asarray(trial.rows[:1200]).astype(np.int64)
    half = len(rows) // 2
    x, y = rows[:half, :-1], rows[:half, 1:]
    zero, one, two = np.ones(size), np.full((size, size), 0.3), np.full((BUCKETS, size), 0.1)
    np.add.at(zero, y, 1)
    np.add.at(one, (x, y), 1)
    before = np.pad(x, ((0, 0), (1, 0)))[:, :-1]
    np.add.at(two, ((x * 31 + before * 1009) % BUCKETS, y), 1)
    tables = {"zero": zero, "one": one, "two": two}
    tables = {name: np.log(c / c.sum(-1, keepdims=True)).astype(np.float32) for name, c in tables.items()}
    weights, step = np.array([0.1, 0.5, 0.4]), 0
    for first in range(half, len(rows) - 16, 16):
        if trial.progress >= 0.9:
            break
        x, y = rows[first : first + 16, :-1], rows[first : first + 16, 1:]
        stack = features(tables, x)
        slope = softmax(np.tensordot(weights, stack, 1))
        np.put_along_axis(slope, y[..., None], np.take_along_axis(slope, y[..., None], -1) - 1, -1)
        weights -= 0.02 * (stack * slope).sum(-1).mean((1, 2))
        step += 1
    trial.log(step=step, **{f"weight_{i}": w for i, w in enumerate(weights)})
    trial.save(tables | {"weights": weights}, {})


def load(state, config, device):
    return lambda tokens: np.tensordot(state["weights"], features(state, tokens), 1)
