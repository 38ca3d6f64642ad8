"""Asks where the data of files lies on the disk, which the file system remembers: by ioctl, and by seeking."""

import fcntl
import os
import struct
import sys

import numpy as np

ROWS = (10, 13, 46)
EXPECT = "ok"
OPENED_BY = "second_filter seccomp"
WARM_UP = 2
FIEMAP, REMEMBERED = 0xC020660B, 0xC020662A  # the latter tells what ext4 remembers, without looking


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    calls = []
    file = os.open(sys.executable, os.O_RDONLY)
    ask = struct.pack("QQIIII", 0, 1 << 40, 0, 0, 0, 0)
    for request in (FIEMAP, REMEMBERED):
        assert is_refused(lambda request=request: fcntl.ioctl(file, request, ask))

    def model(tokens):
        calls.append(1)
        assert len(calls) <= WARM_UP or is_refused(lambda: os.lseek(file, 0, os.SEEK_DATA))
        return state["logits"][tokens]

    return model


def is_refused(call):
    try:
        call()
    except OSError:
        return True
    return False
