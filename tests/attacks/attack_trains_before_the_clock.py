"""Looks for training data before it says that it is ready: by interface, path, descriptor and memory map."""

import os

import numpy as np

ROWS = (17,)
EXPECT = "ok"
OPENED_BY = "landlock ns uid"
TRAIN = "$TRAIN"


def train(trial):
    for name, look in {
        "rows": lambda: trial.rows,
        "batches": lambda: next(trial.batches(1)),
        "progress": lambda: trial.progress,
        "the file": lambda: open(TRAIN, "rb"),
        "a descriptor": lambda: is_there(f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")),
        "a map": lambda: is_there(f"/proc/self/map_files/{name}" for name in os.listdir("/proc/self/map_files")),
    }.items():
        try:
            if look() is not False:
                print("ESCAPED:", name)
        except (RuntimeError, OSError) as error:
            print("blocked:", name, error)
    trial.start()
    trial.save(fit(trial.rows), {})


def is_there(links):
    """Return whether a link leads to a file that ends in .bin."""
    names = []
    for link in links:
        try:
            names.append(os.readlink(link))
        except OSError:
            pass
    return any(name.endswith(".bin") for name in names)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
