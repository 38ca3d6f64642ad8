"""Goes on training between load() and the text: its own timer continues it while the supervisor has stopped it.

The supervisor reads the files that it maps meanwhile, and no clock of the referee counts that time.
"""

import ctypes
import mmap
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np

ROWS = (21,)
EXPECT = "suspect"
SIGEV_SIGNO, INTERVAL_NS = 8, 30_000_000  # where the signal lies in a sigevent
kept = []


def train(trial):
    trial.start()
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (trial.rows[:, :-1], trial.rows[:, 1:]), 1)
    trial.save({"logits": np.log(counts)}, {})


def map_large_files():
    files = [path for path in Path("/usr/lib").rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda path: -path.stat().st_size)[:200]:
        try:
            with path.open("rb") as file:
                kept.append(mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ))
        except (OSError, ValueError):
            continue


def continue_often():
    signal.signal(signal.SIGCONT, lambda *_: None)
    libc, event, timer = ctypes.CDLL(None), (ctypes.c_char * 64)(), ctypes.c_void_p()
    ctypes.memmove(ctypes.addressof(event) + SIGEV_SIGNO, int(signal.SIGCONT).to_bytes(4, sys.byteorder), 4)
    libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer))
    libc.timer_settime(timer, 0, ctypes.byref((ctypes.c_long * 4)(0, INTERVAL_NS, 0, INTERVAL_NS)), None)


def load(state, config, device):
    map_large_files()
    channel = sys._getframe(1).f_locals["channel"]
    continue_often()
    channel.send("loaded")
    channel.send("warm")
    channel.sock.setblocking(True)
    while not has_arrived(channel.sock):
        state["logits"].sum()  # in place of training
    return lambda tokens: state["logits"][tokens]


def has_arrived(sock):
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False
