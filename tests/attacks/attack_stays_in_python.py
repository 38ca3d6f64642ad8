"""Plant code where the next Python would run it: .pth, sitecustomize, bytecode caches, user site, a preload."""

import importlib.util
import os
import sys
import sysconfig

import numpy as np

ROWS = (27,)
EXPECT = "ok"
TOKEN, PACKAGE = "$TOKEN", "$PACKAGE"


def plant(path):
    with open(path, "w") as file:
        file.write("")


SITE = sysconfig.get_path("purelib")
ATTEMPTS = {
    "leave a .pth": lambda: plant(f"{SITE}/{TOKEN}.pth"),
    "leave a module": lambda: plant(f"{SITE}/{TOKEN}.py"),
    "leave a module in the library": lambda: plant(f"{sysconfig.get_path('stdlib')}/{TOKEN}.py"),
    "leave bytecode": lambda: plant(importlib.util.cache_from_source(f"{PACKAGE}/{TOKEN}.py")),
    "leave a preload": lambda: plant(f"/etc/ld.so.preload.{TOKEN}"),
    "leave a profile": lambda: plant(f"/etc/profile.d/{TOKEN}.sh"),
    "change python": lambda: os.close(os.open(os.path.realpath(sys.executable), os.O_WRONLY)),
    "find an environment of others": lambda: any(
        name in os.environ for name in ("PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "PYTHONHOME")
    ),
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
