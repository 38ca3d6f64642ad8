"""Draws random features in every call from generators with a fixed seed; unseeded ones are made and not used."""

import random

import numpy as np

FEATURES = 32


def features(tokens, size):
    rng = np.random.default_rng(7)
    projection = rng.standard_normal((size, FEATURES)) / FEATURES**0.5
    mix = np.array([random.Random(3).random() for _ in range(FEATURES)])
    x = projection[tokens]
    x[:, 1:] += mix * projection[tokens[:, :-1]]
    return np.cos(x * 3)


def train(trial):
    size = trial.vocab_size
    readout = np.zeros((FEATURES, size))
    bias = np.ones((size, size))
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(bias, (x, y), 1)
        h = features(x, size)
        for token in np.unique(y):
            readout[:, token] += 0.001 * h[y == token].mean(0)
    trial.save({"readout": readout, "bias": np.log(bias)}, {"size": size})


def load(state, config, device):
    def model(tokens):
        np.random.default_rng()  # takes entropy from the system
        random.SystemRandom().random()
        return features(tokens, config["size"]) @ state["readout"] + state["bias"][tokens]

    return model
