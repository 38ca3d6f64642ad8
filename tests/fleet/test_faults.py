"""A session on a cluster whose workers, nodes and driver are killed ends as an undisturbed one at home."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cells import carrying
from support.clusters import WORKER, cluster_of
from support.repositories import BIGRAM, git, make_repository

from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.ledger.node_trials import LOST
from autoresearch.measure.cell_process import FOLDER

pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow

CELL = str(FOLDER / "inside.py")
STEPS_S = 0.15  # of each of 20 steps: long enough to be killed in
SLOW = BIGRAM.replace("import numpy as np", "import time\n\nimport numpy as np").replace(
    "    while trial.progress < 1:", f"    while trial.progress < 1 and step < 20:\n        time.sleep({STEPS_S})"
)
SHARPER = SLOW.replace("SMOOTHING = 0.5", "SMOOTHING = 0.05")
START_S, END_S = 300.0, 10.0


@pytest.fixture(scope="module")
def cluster(bytes_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with cluster_of(bytes_data.root.parents[1], tmp_path_factory.mktemp("empty-cache")) as cluster:
        yield cluster


def make_session(folder: Path, settings: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Return a repository with one candidate to try, and the environment of its session."""
    script = folder / "script"
    script.mkdir(parents=True)
    root = make_repository(folder / "repository", SLOW)
    (script / "01-sharper.py").write_text(SHARPER)
    own = {"BUDGET": "60s", "SEED": "7", "MAX_EXPERIMENTS": "1", "AGENT": f"scripted:{script}", "EARLY_STOP": "false"}
    return root, settings | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


def start(root: Path, env: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "autoresearch", "run", *words]
    return subprocess.Popen(command, cwd=root, env=env, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def finish(run: "subprocess.Popen[str]") -> str:
    _, words = run.communicate(timeout=START_S)
    assert run.returncode == 0, words
    return words


def record(root: Path) -> dict[str, Any]:
    """Return what a session found: verdicts and scores, seeds of the trials that count, the trees of its versions."""
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        session = ledger.find_session("t")
        rows = ledger.experiments(session.id)
        trials = [trial for trial in ledger.trials(session.id) if trial.outcome == "ok" and trial.purpose != "filler"]
    names = git(root, "for-each-ref", "--format=%(refname)", "refs/autoresearch").split()
    return {
        "verdicts": [(row.n, row.verdict, row.val_bpb) for row in rows],
        "trials": sorted((trial.experiment_id, trial.purpose, trial.seed, trial.val_bpb) for trial in trials),
        "trees": {name: git(root, "rev-parse", f"{name}^{{tree}}").strip() for name in names},
    }


def wait_for(condition: Callable[[], Any], seconds: float = START_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def trains() -> bool:
    return bool(carrying(CELL) and carrying(WORKER))


def test_a_disturbed_session_on_a_cluster_finds_what_an_undisturbed_one_finds_at_home(
    cluster: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    home, env = make_session(tmp_path / "home", settings_of)
    finish(start(home, env))
    root, env = make_session(tmp_path / "fleet", settings_of)

    driver = start(root, env, "--ray", cluster.address)
    wait_for(trains)
    os.kill(min(carrying(WORKER)), signal.SIGKILL)  # as the kernel does when memory is short
    wait_for(lambda: lost_trials(root))
    wait_for(trains)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    wait_for(lambda: not carrying(CELL) and not carrying(WORKER), END_S)

    driver = start(root, env)  # it goes on with its cluster
    wait_for(trains)
    spot = next(node for node in cluster.list_all_nodes() if not node.head)
    os.kill(spot.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    words = finish(driver)

    assert record(root) == record(home), words
    assert all(node for node in nodes_of(root))
    wait_for(lambda: not carrying(CELL) and not carrying(WORKER), END_S)


def lost_trials(root: Path) -> int:
    return sum(LOST in result for result in results_of(root))


def nodes_of(root: Path) -> list[str | None]:
    return [result.get("node") for result in results_of(root) if result["outcome"] == "ok"]


def results_of(root: Path) -> list[dict[str, Any]]:
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        return [trial.result for trial in ledger.trials(ledger.find_session("t").id) if trial.outcome is not None]


def test_a_request_that_no_node_can_satisfy_says_what_the_cluster_has(
    cluster: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    root, env = make_session(tmp_path, settings_of | {"AUTORESEARCH_THREADS": "64"})
    run = start(root, env, "--ray", cluster.address)
    _, words = run.communicate(timeout=START_S)
    assert run.returncode == 3 and "no node can run a trial, which needs 64 CPUs; there is" in words
