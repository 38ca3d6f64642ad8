"""Stops its own clock and tries to set everybody's, to train for longer. The referee's clock is elsewhere."""

import time

import numpy as np

ROWS = (3,)
EXPECT = "nothing_saved"
BUDGET = "0.5s"


def train(trial):
    late = time.monotonic
    for name in ("time", "monotonic", "perf_counter", "process_time", "time_ns", "monotonic_ns"):
        setattr(time, name, lambda: 0)
    trial.start()
    trial.budget = 1e9
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))
        print("ESCAPED: set the clock")
    except OSError as error:
        print("blocked:", error)
    bell = late() + 3
    while late() < bell:
        state = fit(trial.rows)
    trial.save(state, {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
