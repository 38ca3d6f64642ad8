"""Looks for keys: in its environment, in everybody's environment, in the home folder of who started it."""

import os

import numpy as np

ROWS = (30,)
EXPECT = "ok"
OPENED_BY = "landlock ns uid"
SECRET, HOME = "$SECRET", "$HOMEFOLDER"


def in_an_environment():
    """Return whether the secret is in the environment of any process that can be read."""
    found = False
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                found |= f"KEY={SECRET}".encode() in file.read()
        except OSError:
            continue
    return found


ATTEMPTS = {
    "find a key in its environment": lambda: SECRET in os.environ.values(),
    "find a key in the environment of others": in_an_environment,
    "read a file at home": lambda: open(f"{HOME}/.netrc").read(),
    "list the home": lambda: os.listdir(HOME),
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
