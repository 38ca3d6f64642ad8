"""Signals, slows and moves the referee, the supervisor and everybody else (with signals that do no harm)."""

import ctypes
import os
import resource
import signal

import numpy as np

ROWS = (25,)
EXPECT = "ok"
OPENED_BY = "landlock seccomp ns uid"
OWNER = int("$OWNER")
LIBC = ctypes.CDLL(None, use_errno=True)


def call(*arguments):
    if LIBC.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def at_everybody():
    """Return whether any process but our own can be signalled."""
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid(), os.getppid()}
    return any(reaches(pid) for pid in others)


def reaches(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def on_their_death():
    call(157 if os.uname().machine == "x86_64" else 167, 1, 0, 0, 0, 0)


ATTEMPTS = {
    "stop the owner": lambda: os.kill(OWNER, signal.SIGCONT),
    "stop the owner's group": lambda: os.killpg(os.getpgid(OWNER), 0),
    "signal others": at_everybody,
    "renice the owner": lambda: os.setpriority(os.PRIO_PROCESS, OWNER, os.getpriority(os.PRIO_PROCESS, OWNER)),
    "renice everybody": lambda: os.setpriority(os.PRIO_USER, 0, 19),
    "move the owner to other cores": lambda: os.sched_setaffinity(OWNER, os.sched_getaffinity(OWNER)),
    "limit the owner": lambda: resource.prlimit(OWNER, resource.RLIMIT_NOFILE),
    "freeze the owner": lambda: os.sched_setscheduler(OWNER, os.SCHED_OTHER, os.sched_param(0)),
    "sacrifice the owner": lambda: os.close(os.open(f"/proc/{OWNER}/oom_score_adj", os.O_WRONLY)),
    "move the owner's pages": lambda: call(256 if os.uname().machine == "x86_64" else 238, OWNER, 0, None, None),
    "outlive the supervisor": on_their_death,
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
