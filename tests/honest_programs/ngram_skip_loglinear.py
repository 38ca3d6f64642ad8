"""Adds the log ratios of four skip-grams, each with its own exponent."""

import numpy as np

GAPS, EXPONENTS = (0, 1, 2, 3), (1.0, 0.35, 0.15, 0.05)


def delayed(tokens, gap):
    return np.pad(tokens, ((0, 0), (gap, 0)))[:, : tokens.shape[1]]


def train(trial):
    tables = np.full((len(GAPS), trial.vocab_size, trial.vocab_size), 0.3, np.float32)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        for table, gap in zip(tables, GAPS, strict=True):
            np.add.at(table, (delayed(x, gap)[:, gap:], y[:, gap:]), 1)
    trial.save({"tables": tables}, {})


def load(state, config, device):
    p = state["tables"] / state["tables"].sum(-1, keepdims=True)
    base = np.log(p[0].mean(0))
    ratios = np.log(p) - base

    def model(tokens):
        logits = np.broadcast_to(base, (*tokens.shape, len(base))).copy()
        for exponent, ratio, gap in zip(EXPONENTS, ratios, GAPS, strict=True):
            logits[:, gap:] += exponent * ratio[delayed(tokens, gap)[:, gap:]]
        return logits

    return model
