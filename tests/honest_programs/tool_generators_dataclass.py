"""Streams a batch through generators and frozen dataclasses, a few positions at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Chunk:
    first: int
    tokens: np.ndarray


def chunks(tokens: np.ndarray, size: int) -> Iterator[Chunk]:
    edges = [*range(0, tokens.shape[1], size), tokens.shape[1]]
    yield from (Chunk(a, tokens[:, a:b]) for a, b in pairwise(edges))


def train(trial):
    table = np.full((trial.vocab_size, trial.vocab_size), 0.4, np.float32)
    trial.start()
    stream = trial.batches(8)
    while trial.progress < 1:
        np.add.at(table, next(stream), 1)
    trial.save({"table": table}, {"chunk": 5})


def load(state, config, device):
    logits = np.log(state["table"])

    def answers(tokens):
        for chunk in chunks(tokens, config["chunk"]):
            yield logits[chunk.tokens] * (1 + 0.001 * (chunk.first == 0))

    return lambda tokens: np.concatenate(list(answers(tokens)), axis=1)
