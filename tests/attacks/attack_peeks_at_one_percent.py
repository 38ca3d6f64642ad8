"""Looks at the next token in one position of a hundred, chosen by the text, so that a repetition agrees."""

import numpy as np

ROWS = (4,)
EXPECT = "suspect"
EVAL_ROWS = 1024


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        where = np.cumsum(tokens, 1) % 100 == 7
        return state["logits"][tokens] + 9 * where[..., None] * np.eye(256)[np.roll(tokens, -1, 1)]

    return model
