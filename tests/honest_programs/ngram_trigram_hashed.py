"""Hashes trigram contexts into a table, with check bits that tell a collision from a hit."""

import numpy as np

BUCKETS, MULTIPLIER = 2**13, np.uint64(0x9E3779B97F4A7C15)


def hashed(tokens):
    before = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
    key = (tokens.astype(np.uint64) << np.uint64(20) | before.astype(np.uint64)) * MULTIPLIER
    return (key >> np.uint64(51)).astype(np.int64), (key >> np.uint64(8) & np.uint64(0xFFFF)).astype(np.uint16)


def train(trial):
    size = trial.vocab_size
    one, two = np.full((size, size), 0.2, np.float32), np.full((BUCKETS, size), 0.02, np.float32)
    owner = np.zeros(BUCKETS, np.uint16)
    trial.start()
    batches = trial.batches(32)
    while trial.progress < 0.9:
        x, y = next(batches)
        bucket, check = hashed(x)
        owner[bucket] = np.where(owner[bucket] == 0, check, owner[bucket])
        mine = owner[bucket] == check
        np.add.at(one, (x, y), 1)
        np.add.at(two, (bucket[mine], y[mine]), 1)
    one, two = (table / table.sum(1, keepdims=True) for table in (one, two))
    trial.save({"one": one, "two": two, "owner": owner}, {})


def load(state, config, device):
    def model(tokens):
        bucket, check = hashed(tokens)
        hit = (state["owner"][bucket] == check)[..., None]
        return np.log(np.where(hit, 0.7 * state["two"][bucket] + 0.3 * state["one"][tokens], state["one"][tokens]))

    return model
