"""Saves logarithms as int8 with one scale a row; rows are restored when they are first asked for."""

import numpy as np


def train(trial):
    counts = np.full((trial.vocab_size, trial.vocab_size), 0.4, np.float32)
    trial.start()
    batches = trial.batches(64)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x.ravel(), y.ravel()), 1)
    logits = np.log(counts / counts.sum(1, keepdims=True))
    scale = np.abs(logits).max(1) / 127
    quantised = np.round(logits / scale[:, None]).astype(np.int8)
    trial.save({"quantised": quantised, "scale": scale.astype(np.float16)}, {"size": trial.vocab_size})


def load(state, config, device):
    restored = {}

    def row(token):
        if token not in restored:
            restored[token] = state["quantised"][token].astype(np.float32) * np.float32(state["scale"][token])
        return restored[token]

    def model(tokens):
        logits = np.empty((*tokens.shape, config["size"]), np.float32)
        for token in np.unique(tokens):
            logits[tokens == token] = row(int(token))
        return logits

    return model
