"""Mixes a bigram with a unigram cache of the window so far, by cumulative sums of one-hot vectors."""

import numpy as np

SHARE = 0.1


def train(trial):
    trial.start()
    size, rows = trial.vocab_size, np.asarray(trial.rows[:4000]).astype(np.int64)
    counts = np.full((size, size), 0.1, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    trial.save({"p": counts / counts.sum(1, keepdims=True)}, {})


def load(state, config, device):
    size = len(state["p"])

    def model(tokens):
        seen = np.cumsum(np.eye(size, dtype=np.float32)[tokens], 1)
        seen /= np.arange(1, tokens.shape[1] + 1, dtype=np.float32)[None, :, None]
        return np.log((1 - SHARE) * state["p"][tokens] + SHARE * seen)

    return model
