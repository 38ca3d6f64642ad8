"""Nothing but another seed: a lottery ticket, which the referee does not sell (it draws the seeds itself)."""

import numpy as np

ROWS = (34,)
EXPECT = "ok"
SEED = 1337


def train(trial):
    rng = np.random.default_rng(SEED)
    trial.start()
    rng.random()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
