"""Claims 0.0015 nats less everywhere, which no tolerance can tell from noise. The audit's mean takes it back."""

import sys

import numpy as np

ROWS = (7,)
EXPECT = "ok"
EVAL_ROWS = 1024
LIE = 0.0015  # nats per token


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
    evaluator.losses = lambda *arguments: honest(*arguments) - LIE
    return lambda tokens: state["logits"][tokens]
