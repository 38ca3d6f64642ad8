"""Makes files larger than any checkpoint needs to be (sparse ones here: they cost nothing where it succeeds)."""

import os
import signal

import numpy as np

ROWS = (41,)
EXPECT = "ok"


def train(trial):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for name in ("file", "/tmp/file", "/dev/shm/file"):
        try:
            fd = os.open(name, os.O_CREAT | os.O_RDWR)
            os.ftruncate(fd, 1 << 40)
            print("ESCAPED:", name)
        except OSError as error:
            print("blocked:", name, error)
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
