"""Measure a trial outside its budget, git, ledger and judge, and the end of a cell.

Run `python benchmarks/overhead.py [--trials 3]`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import git

from autoresearch import judge
from autoresearch.ledger import Ledger
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.setup import plan
from autoresearch.setup.project import open_project
from autoresearch.workspace.workspace import Workspace

NUMPY = """
import numpy as np

def train(trial):
    trial.start()
    trial.save({"logits": np.zeros(trial.vocab_size, np.float32)}, {})

def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
"""


CHILDREN = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        break
else:
    print("ready", flush=True)
time.sleep(600)
"""

OWNER = """
import sys, time
from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.launch import CellSpec
cell = Cell.start(CellSpec([sys.executable, "-I", "-c", *sys.argv[1:3]], off=frozenset(sys.argv[3].split())))
while "ready" not in cell.log():
    time.sleep(0.01)
print(flush=True)
time.sleep(600)
"""


def timed(action: Callable[[int], object], times: int = 20) -> float:
    """Return the median seconds of an action."""
    took = []
    for k in range(times):
        began = time.perf_counter()
        action(k)
        took.append(time.perf_counter() - began)
    return median(took)


def parts(results: list[Result]) -> dict[str, float]:
    """Return the median seconds of each part of a trial."""
    return {
        "setup: process, import torch, build, warm up": median(r.setup_seconds for r in results),
        "score: claim and audit": median(r.score_seconds for r in results),
        "cell start, hand-over, kill, the rest": median(
            r.total_seconds - r.setup_seconds - r.train_seconds - r.score_seconds for r in results
        ),
    }


def bookkeeping() -> dict[str, float]:
    """Return the seconds of git and ledger for one experiment, in a temporary repository."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "train.py").write_text(NUMPY)
        with git.Repo.init(root) as repo, repo.config_writer() as config:
            config.set_value("user", "name", "benchmark").set_value("user", "email", "benchmark@localhost")
            repo.git.add("train.py")
            repo.git.commit("-m", "base")
        workspace = Workspace(root)
        base = workspace.start("t", workspace.head())
        with Ledger.open(root / "ledger.db") as store:
            row = store.create_session("t", "autoresearch/t", base, "sweep", "default", {}, {}, 0)

            def remember(k: int) -> None:
                experiment = store.add_experiment(row.id, k, text=NUMPY)
                trial = store.start_trial(row.id, experiment.id, "screen", k, "")
                store.end_trial(trial.id, "ok", 2.0, {})
                for state in ("committed", "measuring", "measured", "decided", "settled"):
                    store.update_experiment(experiment.id, state=state)

            base_draws = [judge.Draw(2 + k / 10, k) for k in range(3)]

            def decide(k: int) -> None:
                judge.decide("default", [judge.Draw(2.0, 3)], base_draws, judge.noise([base_draws]))

            return {
                "ledger: all steps of one experiment": timed(remember),
                "git: commit of one experiment": timed(
                    lambda k: workspace.commit("t", k + 1, f"# {k}\n{NUMPY}", base, "an experiment")
                ),
                "judge: one decision": timed(decide),
            }


def left(token: str) -> bool:
    """Return True if a process has `token` in its command line."""
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if token.encode() in (process / "cmdline").read_bytes():
                return True
    return False


def until_gone(off: str) -> float:
    """Return the seconds from kill -9 of a program to the end of its cell's nine processes.

    The layers in `off` are left out.
    """
    token = uuid.uuid4().hex
    command = [sys.executable, "-c", OWNER, CHILDREN, token, off]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        owner.kill()
    began = time.perf_counter()
    while left(token):
        time.sleep(0.001)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3)
    options = parser.parse_args()
    project = open_project({}, Path.cwd())
    text = plan.fit_device(Path("train.py").read_text(), project.slot.device)
    rows: dict[str, float] = {}
    for name, version in (("train.py", text), ("numpy", NUMPY)):
        results = [CellReferee(project.settings, project.data).measure(version, seed) for seed in range(options.trials)]
        rows |= {f"{name} | {part}": seconds for part, seconds in parts(results).items()}
    rows |= {f"session | {part}": seconds for part, seconds in bookkeeping().items()}
    for off, name in (("", "all layers"), ("ns", "no namespaces")):
        rows[f"program killed | until its cell is gone, {name}, longest of 20"] = max(
            until_gone(off) for _ in range(20)
        )
    print("| of | part | seconds |\n|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.4f} |")


if __name__ == "__main__":
    main()
