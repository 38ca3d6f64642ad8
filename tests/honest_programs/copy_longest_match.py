"""Finds the longest earlier match of the last tokens in the window and bets on what followed it."""

import numpy as np

LONGEST, BET = 6, np.array([0.0, 0.0, 0.1, 0.25, 0.4, 0.6, 0.7])


def train(trial):
    trial.start()
    size, rows = trial.vocab_size, np.asarray(trial.rows[:4000]).astype(np.int64)
    counts = np.full((size, size), 0.2, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    trial.save({"p": counts / counts.sum(1, keepdims=True)}, {})


def matches(tokens):
    """Length of the run of equal tokens that ends at (t, s), s < t: [B, T, T]."""
    same = np.tril(tokens[:, :, None] == tokens[:, None, :], -1)
    length, run = same.astype(np.int64), same
    for _ in range(LONGEST - 1):
        run = same & np.pad(run, ((0, 0), (1, 0), (1, 0)))[:, :-1, :-1]
        length += run
    return length


def load(state, config, device):
    def model(tokens):
        p = state["p"][tokens].astype(np.float64)
        length = matches(tokens)
        best = length.argmax(-1)
        longest = np.take_along_axis(length, best[..., None], -1)[..., 0]
        bet = BET[longest]
        p *= (1 - bet)[..., None]
        rows, columns = np.nonzero(bet)
        if len(rows):
            p[rows, columns, tokens[rows, best[rows, columns] + 1]] += bet[rows, columns]
        return np.log(p)

    return model
