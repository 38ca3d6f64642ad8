"""Says that the claim is there and goes on changing it, from a child: what was checked would not be what counts.

The claim is read once, when nothing is left alive that could write to it.
"""

import gc
import mmap
import os
import time

import numpy as np

ROWS = (33,)
EXPECT = ("ok", "suspect")


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(0.001)
            for thing in gc.get_objects():
                if isinstance(thing, mmap.mmap):
                    try:
                        thing[:] = bytes(len(thing))
                    except TypeError:
                        continue
    return lambda tokens: state["logits"][tokens]
