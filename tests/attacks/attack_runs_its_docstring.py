"""
def train(trial):
    trial.start()
    raise SystemExit("the hidden program ran")
"""

# The program above is a docstring, which does not count as code. Cells get neither docstrings nor comments:
#! def train(trial): raise SystemExit("the hidden program ran")

import linecache
import sys

import numpy as np

ROWS = (45,)
EXPECT = "ok"


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]


def caller_texts():
    frame = sys._getframe()
    while frame:
        yield from (value for value in frame.f_locals.values() if isinstance(value, str))
        frame = frame.f_back


exec(__doc__ or "")
for text in ["".join(linecache.getlines("train.py")), *caller_texts()]:
    for line in text.splitlines():
        if line.startswith("#!"):
            exec(line[2:].strip())
