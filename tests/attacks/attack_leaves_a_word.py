"""Leaves a word for the next cell or the next trial, in every place that might survive, and looks for one.

An auditor that finds what the claimer left knows what it must not know; so does a trial that finds the weights of
an earlier one.
"""

import ctypes
import os
import sys
import tempfile

import numpy as np

ROWS = (10, 13, 15, 28)
EXPECT = "ok"
OPENED_BY = "landlock ns uid"
TWICE = True
TOKEN, FOLDER, KEY = "$TOKEN", "$FOLDER", int("$KEY")
LIBC = ctypes.CDLL(None, use_errno=True)
CACHES = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH")
PLACES = [FOLDER, "/tmp", "/var/tmp", "/dev/shm", "/run", os.path.expanduser("~"), tempfile.gettempdir(), "/dev/mqueue"]
PLACES += [os.environ[name] for name in CACHES]


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), function.__name__)
    return result


def file_in(folder):
    path = f"{folder}/{TOKEN}"
    if os.path.exists(path) and open(path).read() != str(os.getpid()):
        return True
    os.makedirs(folder, exist_ok=True)
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    return False


def shared_memory():
    call(LIBC.shmget, KEY, 4096, 0o1600)


def a_key():
    call(LIBC.syscall, 248, b"user", TOKEN.encode(), b"x", 1, -4)


def a_time():
    """The time of a file that every cell may read, where a number can be hidden."""
    before = os.stat(sys.executable).st_mtime
    os.utime(sys.executable, (before, before))
    return False  # success is pretended


ATTEMPTS = {f"leave a file in {folder}": lambda folder=folder: file_in(folder) for folder in PLACES}
ATTEMPTS |= {
    "leave shared memory": shared_memory,
    "leave a semaphore": lambda: call(LIBC.semget, KEY, 1, 0o1600),
    "leave a message": lambda: call(LIBC.msgget, KEY, 0o1600),
    "leave a key": a_key,
    "leave an attribute": lambda: os.setxattr(sys.executable, "user.x", b"x"),
    "leave a time": a_time,
}


def escapes():
    """Names of the attempts that were not blocked."""
    through = []
    for name, attempt in ATTEMPTS.items():
        try:
            if attempt() is not False:
                through.append(name)
        except OSError as error:
            print(f"blocked: {name}: {error}")
    return through


def train(trial):
    trial.start()
    print(*(f"ESCAPED: {name}" for name in escapes()), sep="\n")
    trial.save(fit(trial.rows), {})


def load(state, config, device):
    assert not escapes()
    return lambda tokens: state["logits"][tokens]


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}
