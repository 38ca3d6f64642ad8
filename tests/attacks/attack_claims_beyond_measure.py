"""Claims minus a million nats at one position: so rarely asked, and if believed enough to win everything."""

import sys

import numpy as np

ROWS = (5, 7)
EXPECT = "harmless"
EVAL_ROWS = 1024


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
    left = [1]

    def claim(*arguments):
        losses = honest(*arguments)
        if left:
            losses[0, left.pop()] = -1e6
        return losses

    evaluator.losses = claim
    return lambda tokens: state["logits"][tokens]
