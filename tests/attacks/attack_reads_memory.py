"""Reads the memory of the program that holds the validation rows: by file, by system call, by debugger."""

import ctypes
import os

import numpy as np

ROWS = (12, 25)
EXPECT = "ok"
OPENED_BY = "landlock seccomp ns uid caps"
OWNER = int("$OWNER")
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), function.__name__)
    return result


def read_by_call(pid):
    vector = (ctypes.c_size_t * 2)(id(vector_target := ctypes.create_string_buffer(8)) and 0, 8)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(vector_target), 8)
    with open(f"/proc/{pid}/maps") as file:
        vector[0] = int(file.readline().split("-")[0], 16)
    return call(LIBC.process_vm_readv, pid, ours, 1, vector, 1, 0) == 8


def seize(pid):
    call(LIBC.ptrace, PTRACE_SEIZE, pid, 0, 0)
    LIBC.kill(pid, 19)
    os.waitpid(pid, 0)
    LIBC.ptrace(PTRACE_DETACH, pid, 0, 0)


ATTEMPTS = {
    "open the owner's memory": lambda: os.close(os.open(f"/proc/{OWNER}/mem", os.O_RDONLY)),
    "read the owner's map": lambda: bool(open(f"/proc/{OWNER}/maps").read()),
    "read the owner's memory by call": lambda: read_by_call(OWNER),
    "take a descriptor of the owner": lambda: call(LIBC.syscall, 438, os.pidfd_open(OWNER), 0, 0),
    "open the supervisor's memory": lambda: os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)),
    "trace the supervisor": lambda: seize(os.getppid()),
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
