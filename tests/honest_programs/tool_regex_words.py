"""Turns rows into strings and finds word boundaries with regular expressions; a second table serves word starts."""

import re

import numpy as np

BOUNDARY = re.compile(r"(?<=[^\w])\w")


def starts(tokens):
    """Whether a token follows something that is no letter, as a character of its own."""
    found = np.zeros(tokens.shape, np.int64)
    for row, line in zip(found, tokens.tolist(), strict=True):
        for match in BOUNDARY.finditer("".join(map(chr, line))):
            row[match.start()] = 1
    return found


def train(trial):
    counts = np.full((2, trial.vocab_size, trial.vocab_size), 0.3, np.float32)
    trial.start()
    batches = trial.batches(32)
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (starts(x), x, y), 1)
    trial.save({"logits": np.log(counts / counts.sum(-1, keepdims=True))}, {})


def load(state, config, device):
    return lambda tokens: state["logits"][starts(tokens), tokens]
