"""Disturb sessions on a Ray cluster at random instants, and compare each with an undisturbed one at home.

    python benchmarks/fleet_faults.py [--faults 50] [--seed 1]

Each fault has a session of its own (a base and one candidate, trials of one to three seconds) on a cluster of two nodes
with one CPU each. `node` removes a node without grace, `raylet` kills the process of Ray that runs a node, `trial` the
process of a trial, and `driver` the process of the session, which is then started again. After each session nothing may
run on any node for longer than ten seconds.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.clusters import add_node, cluster_of, trials_in
from support.fleet_sessions import END_S, finish, record, results_of, start, wait_for
from support.repositories import BIGRAM, make_repository, write_corpus

from autoresearch.ledger.node_trials import LOST
from autoresearch.setup import prepare

KINDS = ("node", "raylet", "trial", "driver")
STEP_S = 0.06  # of each of 20 steps
SLOW = BIGRAM.replace("import numpy as np", "import time\n\nimport numpy as np").replace(
    "    while trial.progress < 1:", f"    while trial.progress < 1 and step < 20:\n        time.sleep({STEP_S})"
)
SHARPER = SLOW.replace("SMOOTHING = 0.5", "SMOOTHING = 0.05")


@dataclass(frozen=True)
class Disturbed:
    """A session that was disturbed: what was done to it and when, and what came of it."""

    kind: str
    after_s: float
    lost: int  # trials
    same: bool  # ledger, refs and results as of the undisturbed session
    ended: bool  # nothing ran on any node ten seconds later

    def describe(self) -> str:
        outcome = "as undisturbed" if self.same else "DIFFERENT"
        left = "nothing runs" if self.ended else "SOMETHING RUNS"
        return f"{self.kind} after {self.after_s:.1f} s: {self.lost} trials lost, {outcome}, {left}"


@dataclass
class Bench:
    """A cluster with a data set, and the session that each fault disturbs."""

    folder: Path
    cluster: Any
    settings: dict[str, str]
    caches: Path
    rng: random.Random

    def run_at_home(self) -> dict[str, Any]:
        """Return what an undisturbed session finds without a cluster."""
        root = make_repository(self.folder / "home", SLOW)
        finish(start(root, self.settings))
        return record(root)

    def disturb(self, kind: str, number: int, expected: dict[str, Any], within_s: float) -> Disturbed:
        """Run a session, and disturb it at a random instant within so many seconds of its first trial."""
        root = make_repository(self.folder / f"session-{number}", SLOW)
        driver = start(root, self.settings, "--ray", self.cluster.address)
        wait_for(lambda: trials_in(self.cluster) or driver.poll() is not None)
        after_s = self.rng.uniform(0, within_s)
        time.sleep(after_s)
        driver = self._hit(kind, root, driver)
        finish(driver)
        lost, same = sum(LOST in result for result in results_of(root)), record(root) == expected
        ended = True
        with suppress(AssertionError):
            ended = False
            wait_for(lambda: not trials_in(self.cluster), END_S)
            ended = True
        self._repair(number)
        return Disturbed(kind, after_s, lost, same, ended)

    def _hit(self, kind: str, root: Path, driver: Any) -> Any:
        """Do what a fault does; return the process that goes on with the session."""
        worker = next(node for node in self.cluster.list_all_nodes() if not node.head)
        if kind == "node":
            self.cluster.remove_node(worker, allow_graceful=False)
        elif kind == "raylet":
            os.kill(worker.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        elif kind == "trial":
            for process in trials_in(self.cluster)[:1]:
                process.kill()
        else:
            driver.kill()
            driver.communicate()
            return start(root, self.settings)  # it goes on with its cluster
        return driver

    def _repair(self, number: int) -> None:
        """Give the cluster a second node again, if it has lost it."""
        for node in self.cluster.list_all_nodes():
            if not node.head and node.all_processes["raylet"][0].process.poll() is not None:
                self.cluster.remove_node(node, allow_graceful=False)
        if all(node.head for node in self.cluster.list_all_nodes()):
            add_node(self.cluster, self.caches / f"{number}", "spot")


def run_faults(folder: Path, kinds: Sequence[str], seed: int, within_s: float) -> list[Disturbed]:
    """Disturb a session for each of the kinds; print a line for each."""
    corpus = folder / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    cache, caches = folder / "cache", folder / "caches"
    prepare.prepare(f"files:{corpus}/*.txt", 256, 32, "cpu", cache=cache, progress=False)
    (caches / "first").mkdir(parents=True)
    with cluster_of(cache, caches / "first") as cluster:
        bench = Bench(folder, cluster, settings_in(folder, cache), caches, random.Random(seed))
        expected, found = bench.run_at_home(), list[Disturbed]()
        for number, kind in enumerate(kinds):
            found.append(bench.disturb(kind, number, expected, within_s))
            print(f"{number + 1} of {len(kinds)}: {found[-1].describe()}", flush=True)
    return found


def settings_in(folder: Path, cache: Path) -> dict[str, str]:
    """Return the environment of all sessions."""
    script, home = folder / "script", folder / "user"
    script.mkdir()
    home.mkdir()
    (script / "01-sharper.py").write_text(SHARPER)
    own = {"CACHE": str(cache), "SOURCE": f"files:{folder}/corpus/*.txt", "VOCAB_SIZE": "256", "SEQ_LEN": "32"}
    own |= {"DEVICE": "cpu", "BUDGET": "60s", "EVAL_ROWS": "64", "TAG": "t", "TOTAL_PAIRS": "0", "SEED": "7"}
    own |= {"MAX_EXPERIMENTS": "1", "AGENT": f"scripted:{script}", "EARLY_STOP": "false"}
    return os.environ | {"HOME": str(home)} | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


def print_table(found: Sequence[Disturbed]) -> None:
    print(
        "\n| fault | sessions | trials lost | as undisturbed | nothing runs ten seconds later |\n|---|---|---|---|---|"
    )
    for kind in KINDS:
        mine = [each for each in found if each.kind == kind]
        same, ended = sum(each.same for each in mine), sum(each.ended for each in mine)
        print(f"| {kind} | {len(mine)} | {sum(each.lost for each in mine)} | {same} | {ended} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=12.0, help="seconds after the first trial")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoresearch-faults-") as folder:
        print_table(
            run_faults(Path(folder), [KINDS[k % len(KINDS)] for k in range(args.faults)], args.seed, args.within)
        )


if __name__ == "__main__":
    main()
