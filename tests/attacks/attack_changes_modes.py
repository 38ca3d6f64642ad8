"""Changes modes, owners and times of files that belong to its user, which Landlock alone does not forbid."""

import os

import numpy as np

ROWS = (42,)
EXPECT = "ok"
OPENED_BY = "landlock seccomp ns uid"
CANARY = "$CANARY"


def changes(function):
    before = state()
    function()
    return state() != before


def state():
    """Mode, time and owner; a path that cannot be looked at is as good as unchanged."""
    status = os.stat(CANARY)
    return status.st_mode, status.st_mtime_ns, status.st_uid


ATTEMPTS = {
    "change a mode": lambda: changes(lambda: os.chmod(CANARY, 0o777)),
    "change a time": lambda: changes(lambda: os.utime(CANARY, (1, 1))),
    "change an owner": lambda: changes(lambda: os.chown(CANARY, 65534, 65534)),
    "change an attribute": lambda: os.setxattr(CANARY, "user.x", b"x"),
    "shorten": lambda: os.truncate(CANARY, 0),
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
