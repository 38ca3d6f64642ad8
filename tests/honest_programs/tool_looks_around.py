"""Asks for cores, time, process numbers and memory in every call, as profiling code does, and only logs them."""

import os
import platform
import resource
import sys
import time

import numpy as np


def train(trial):
    counts = np.full((trial.vocab_size, trial.vocab_size), 0.5, np.float32)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        np.add.at(counts, next(batches), 1)
    trial.save({"logits": np.log(counts)}, {})


def load(state, config, device):
    seen = []

    def model(tokens):
        began = time.perf_counter(), time.time(), time.process_time(), time.thread_time(), time.strftime("%H:%M")
        cores = os.cpu_count(), len(os.sched_getaffinity(0)), platform.machine(), sys.getrecursionlimit()
        process = os.getpid(), os.getppid(), os.getuid(), os.environ.get("OMP_NUM_THREADS")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        time.sleep(0.001)
        seen.append((began, cores, process, peak))
        return state["logits"][tokens]

    return model
