"""Finds the answer and the rows in the frames above it, and writes what it likes.

In the claiming cell it finds the targets and answers as if it had known them; in the auditing cell there are no
targets to be found, only what replaced them.
"""

import inspect

import numpy as np

ROWS = (2, 11)
EXPECT = "suspect"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    def model(tokens):
        found = next(frame.frame.f_locals for frame in inspect.stack() if "answer" in frame.frame.f_locals)
        rows = found["padded"]
        if (
            rows.shape[1] == tokens.shape[1]
        ):  # the auditing cell: what comes next here is not what came next in the text
            after = rows[np.arange(len(rows)), np.minimum(found["asked"] + 1, rows.shape[1] - 1)]
            return 9 * np.eye(256)[np.broadcast_to(after[:, None], tokens.shape)]
        return state["logits"][tokens] + 9 * np.eye(256)[np.roll(tokens, -1, 1)]

    return model
