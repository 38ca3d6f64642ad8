"""Filters the history with exponentials through numpy's FFT, and adds what it says to a bigram."""

import numpy as np

DIM, RATES = 16, (0.5, 0.8, 0.95)


def history(embedded):
    """Causal exponential averages of embedded [B, T, DIM] by zero-padded FFT, [B, T, RATES * DIM]."""
    length = embedded.shape[1]
    spectrum = np.fft.rfft(embedded, 2 * length, axis=1)
    kernels = [(1 - rate) * rate ** np.arange(length) for rate in RATES]
    parts = [np.fft.irfft(spectrum * np.fft.rfft(k, 2 * length)[:, None], 2 * length, 1)[:, :length] for k in kernels]
    return np.concatenate(parts, -1)


def train(trial):
    rng, size = np.random.default_rng(trial.seed), trial.vocab_size
    embed, counts = rng.standard_normal((size, DIM)), np.full((size, size), 0.3)
    readout = np.zeros((len(RATES) * DIM, size))
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x, y), 1)
        h = history(embed[x])
        logits = h @ readout + np.log(counts)[x]
        q = np.exp(logits - logits.max(-1, keepdims=True))
        q /= q.sum(-1, keepdims=True)
        np.put_along_axis(q, y[..., None], np.take_along_axis(q, y[..., None], -1) - 1, -1)
        readout -= 0.1 * np.tensordot(h, q, ((0, 1), (0, 1))) / y.size
    trial.save({"embed": embed, "readout": readout, "bigram": np.log(counts)}, {})


def load(state, config, device):
    return lambda tokens: history(state["embed"][tokens]) @ state["readout"] + state["bigram"][tokens]
