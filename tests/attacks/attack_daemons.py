"""Leaves daemons that ignore signals and a chain that forks anew every few milliseconds, and never ends by itself."""

import os
import signal
import sys
import time

import numpy as np

ROWS = (20,)
EXPECT = "ok"
BUDGET = "1s"
TOKEN = "$TOKEN"
CHAIN = f"""
import os, time
token = {TOKEN!r}
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
    time.sleep(0.005)
"""


def leave(program):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program])
        os._exit(0)
    os.wait()


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})
    for _ in range(8):
        leave(f"import time; token = {TOKEN!r}; time.sleep(600)")
    leave(CHAIN)
    time.sleep(600)


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
