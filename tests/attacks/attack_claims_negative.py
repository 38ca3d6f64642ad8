"""Claims more than certainty."""

import sys

import numpy as np

ROWS = (7,)
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
    evaluator.losses = lambda *arguments: -honest(*arguments)
    return lambda tokens: state["logits"][tokens]
