"""Answers the rows of a batch in a pool of threads that each call opens and closes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np


def train(trial):
    counts = np.full((trial.vocab_size, trial.vocab_size), 0.3, np.float32)
    trial.start()
    batches = trial.batches(32)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x, y), 1)
    trial.save({"p": counts / counts.sum(1, keepdims=True)}, {"share": 0.05})


def load(state, config, device):
    def answer(row):
        p = (1 - config["share"]) * state["p"][row]
        recent = np.zeros_like(p)
        for t in range(len(row)):
            recent[t, row[max(0, t - 7) : t + 1]] = 1
        return np.log(p + config["share"] * recent / recent.sum(1, keepdims=True))

    def model(tokens):
        with ThreadPoolExecutor(max_workers=4) as pool:
            return np.stack(list(pool.map(answer, tokens)))

    return model
