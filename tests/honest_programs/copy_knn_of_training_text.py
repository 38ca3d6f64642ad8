"""Looks up the nearest stored contexts by random projection and argpartition, and counts what followed them."""

import numpy as np

DIM, NEIGHBOURS, DECAY = 24, 16, 0.5


def embed(tokens, table):
    x = table[tokens]
    for shift in (1, 2, 3):
        x[:, shift:] += DECAY**shift * np.roll(table, shift, 1)[tokens[:, :-shift]]
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def train(trial):
    table = np.random.default_rng(trial.seed).standard_normal((trial.vocab_size, DIM)).astype(np.float32)
    trial.start()
    rows = np.asarray(trial.rows[:: max(1, len(trial.rows) // 60)]).astype(np.int64)
    size = trial.vocab_size
    counts = np.full((size, size), 0.2)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    state = {"table": table, "keys": embed(rows[:, :-1], table).reshape(-1, DIM), "next": rows[:, 1:].ravel()}
    trial.save(state | {"p": counts / counts.sum(1, keepdims=True)}, {})


def load(state, config, device):
    def model(tokens):
        p = 0.6 * state["p"][tokens]
        for row, query in zip(p, embed(tokens, state["table"]), strict=True):
            score = query @ state["keys"].T
            near = np.argpartition(score, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
            weight = np.exp(8 * np.take_along_axis(score, near, 1))
            weight *= 0.4 / weight.sum(1, keepdims=True)
            np.add.at(row, (np.arange(len(row))[:, None], state["next"][near]), weight)
        return np.log(p)

    return model
