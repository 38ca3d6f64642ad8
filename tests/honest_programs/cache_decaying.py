"""Keeps an exponentially decaying cache for each row, in a Python loop over positions with buffers that it reuses."""

import numpy as np

DECAY, STRENGTH = 0.9, 0.5


def train(trial):
    counts = np.full((trial.vocab_size, trial.vocab_size), 0.2, np.float32)
    trial.start()
    batches, step = trial.batches(16), 0
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x, y), 1)
        step += 1
        trial.log(step=step)
    trial.save({"logits": np.log(counts / counts.sum(1, keepdims=True))}, {})


def load(state, config, device):
    buffers = {}

    def model(tokens):
        shape = (*tokens.shape, len(state["logits"]))
        if shape not in buffers:
            buffers[shape] = np.empty(shape, np.float32), np.empty((shape[0], shape[2]), np.float32)
        logits, cache = buffers[shape]
        cache.fill(0)
        everyone = np.arange(shape[0])
        for t in range(shape[1]):
            cache *= DECAY
            cache[everyone, tokens[:, t]] += 1
            logits[:, t] = state["logits"][tokens[:, t]] + STRENGTH * np.log1p(cache)
        return logits

    return model
