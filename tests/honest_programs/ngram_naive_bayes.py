"""Naive Bayes over sliding windows of the last tokens, with stride tricks and einsum."""

import numpy as np

WIDTH = 4
WEIGHT = np.array([0.1, 0.15, 0.3, 1.0], np.float32)  # the nearest token counts most


def train(trial):
    size = trial.vocab_size
    counts = np.full((WIDTH, size, size), 0.5, np.float32)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        for k in range(WIDTH):
            gap = WIDTH - 1 - k
            np.add.at(counts[k], (x[:, : x.shape[1] - gap], y[:, gap:]), 1)
    trial.save({"counts": counts}, {})


def load(state, config, device):
    counts = state["counts"]
    prior = np.log(counts[-1].sum(0) / counts[-1].sum())
    ratio = np.log(counts / counts.sum(1, keepdims=True))  # of a token there, given the next one
    ratio -= ratio.mean(-1, keepdims=True)
    padded = np.concatenate([ratio, np.zeros_like(ratio[:, :1])], 1)

    def model(tokens):
        start = np.full((len(tokens), WIDTH - 1), padded.shape[1] - 1)
        windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([start, tokens], 1), WIDTH, axis=1)
        found = padded[np.arange(WIDTH), windows]
        return prior + np.einsum("k,btkv->btv", WEIGHT, found, optimize=True)

    return model
