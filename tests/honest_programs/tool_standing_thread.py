"""Keeps one worker thread behind a queue for all of its life; the first call starts it."""

import queue
import threading

import numpy as np


class Worker:
    def __init__(self, logits):
        self.logits, self.tasks, self.answers = logits, queue.Queue(), queue.Queue()
        self.thread = None

    def run(self):
        while True:
            self.answers.put(self.logits[self.tasks.get()])

    def __call__(self, tokens):
        if self.thread is None:
            self.thread = threading.Thread(target=self.run, daemon=True)
            self.thread.start()
        self.tasks.put(tokens)
        return self.answers.get()


def train(trial):
    trial.start()
    size, rows = trial.vocab_size, np.asarray(trial.rows[:5000]).astype(np.int64)
    counts = np.full((size, size), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    trial.save({"logits": np.log(counts)}, {})


def load(state, config, device):
    return Worker(state["logits"])
