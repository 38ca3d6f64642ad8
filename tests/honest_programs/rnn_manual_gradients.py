"""An Elman network in numpy, with truncated backpropagation through time by hand."""

import numpy as np

HIDDEN = 40


def run(p, tokens):
    h, out = np.zeros((len(tokens), HIDDEN), np.float32), []
    for t in range(tokens.shape[1]):
        h = np.tanh(p["inp"][tokens[:, t]] + h @ p["rec"])
        out.append(h)
    return np.stack(out, 1)


def train(trial):
    rng, size = np.random.default_rng(trial.seed), trial.vocab_size
    p = {
        "inp": rng.standard_normal((size, HIDDEN)).astype(np.float32) * 0.5,
        "rec": np.linalg.qr(rng.standard_normal((HIDDEN, HIDDEN)))[0].astype(np.float32) * 0.9,
        "out": np.zeros((HIDDEN, size), np.float32),
    }
    square = {name: np.ones_like(value) for name, value in p.items()}
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        h = run(p, x)
        logits = h @ p["out"]
        q = np.exp(logits - logits.max(-1, keepdims=True))
        q /= q.sum(-1, keepdims=True)
        np.put_along_axis(q, y[..., None], np.take_along_axis(q, y[..., None], -1) - 1, -1)
        q /= y.size
        slope = {name: np.zeros_like(value) for name, value in p.items()}
        slope["out"] = np.einsum("bth,btv->hv", h, q)
        back, later = q @ p["out"].T, np.zeros_like(h[:, 0])
        for t in reversed(range(x.shape[1])):
            later = (back[:, t] + later) * (1 - h[:, t] ** 2)
            np.add.at(slope["inp"], x[:, t], later)
            if t:
                slope["rec"] += h[:, t - 1].T @ later
            later = later @ p["rec"].T
        for name in p:  # Adagrad
            square[name] += 100 * slope[name] ** 2
            p[name] -= 0.5 * slope[name] / np.sqrt(square[name])
    trial.save(p, {})


def load(state, config, device):
    return lambda tokens: run(state, tokens) @ state["out"]
