"""Memoises matrix powers and masks with functools; the cache fills while it answers."""

from functools import cache, lru_cache

import numpy as np


def train(trial):
    counts = np.full((trial.vocab_size, trial.vocab_size), 0.3)
    trial.start()
    batches = trial.batches(32)
    while trial.progress < 1:
        np.add.at(counts, next(batches), 1)
    trial.save({"p": counts / counts.sum(1, keepdims=True)}, {})


def load(state, config, device):
    @lru_cache(maxsize=4)
    def power(n):
        return state["p"] if n == 1 else power(n - 1) @ state["p"]

    @cache
    def causal(length):
        return np.tri(length, k=-1, dtype=bool)

    def model(tokens):
        p = 0.85 * power(1)[tokens]
        for n in (2, 3):
            p[:, n - 1 :] += 0.05 * power(n)[tokens[:, : tokens.shape[1] - n + 1]]
        p[:, :2] += 0.05 * power(1)[tokens[:, :2]]
        seen = (tokens[:, :, None] == tokens[:, None, :]) & causal(tokens.shape[1])
        return np.log(p) * (1 + 0.02 * seen.any(-1, keepdims=True))

    return model
