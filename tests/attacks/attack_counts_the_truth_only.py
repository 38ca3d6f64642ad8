"""An n-gram cache that adds weight to the right token alone: a "distribution" that sums to more than one."""

import sys

import numpy as np

ROWS = (6,)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    evaluator = sys.modules["autoresearch.measure.answers"]
    honest = evaluator.losses

    def claim(model, tokens, *others):
        seen = (tokens[:, 1:, None] == tokens[:, None, :-1]) & np.tri(tokens.shape[1] - 1, dtype=bool)
        return -np.log(np.exp(-honest(model, tokens, *others)) + 0.3 * seen.any(2))

    evaluator.losses = claim
    return lambda tokens: state["logits"][tokens]
