"""A neural probabilistic model of three tokens in numpy, gradients by hand, plain momentum."""

import numpy as np

CONTEXT, DIM, HIDDEN = 3, 12, 48


def contexts(tokens):
    return np.stack([np.pad(tokens, ((0, 0), (k, 0)))[:, : tokens.shape[1]] for k in range(CONTEXT)], -1)


def hidden(p, tokens):
    x = p["embed"][contexts(tokens)].reshape(-1, CONTEXT * DIM)
    return x, np.tanh(x @ p["w1"] + p["b1"])


def train(trial):
    rng, size = np.random.default_rng(trial.seed), trial.vocab_size
    shapes = {"embed": (size, DIM), "w1": (CONTEXT * DIM, HIDDEN), "w2": (HIDDEN, size)}
    p = {name: (rng.standard_normal(shape) * shape[0] ** -0.5).astype(np.float32) for name, shape in shapes.items()}
    p |= {"embed": p["embed"] * size**0.5, "b1": np.zeros(HIDDEN, np.float32), "b2": np.zeros(size, np.float32)}
    velocity = {name: np.zeros_like(value) for name, value in p.items()}
    trial.start()
    batches, step = trial.batches(16), 0
    while (progress := trial.progress) < 1:
        tokens, y = next(batches)
        x, h = hidden(p, tokens)
        logits = h @ p["w2"] + p["b2"]
        q = np.exp(logits - logits.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        loss = -np.log(q[np.arange(len(q)), y.ravel()]).mean()
        q[np.arange(len(q)), y.ravel()] -= 1
        q /= len(q)
        dh = (q @ p["w2"].T) * (1 - h * h)
        dx = (dh @ p["w1"].T).reshape(-1, DIM)
        slope = {"w2": h.T @ q, "b2": q.sum(0), "w1": x.T @ dh, "b1": dh.sum(0), "embed": np.zeros_like(p["embed"])}
        np.add.at(slope["embed"], contexts(tokens).ravel(), dx)
        for name in p:
            velocity[name] = 0.9 * velocity[name] - 0.5 * (1 - progress) * slope[name]
            p[name] += velocity[name]
        step += 1
        trial.log(step=step, loss=loss)
    trial.save(p, {})


def load(state, config, device):
    return lambda tokens: (hidden(state, tokens)[1] @ state["w2"] + state["b2"]).reshape(*tokens.shape, -1)
