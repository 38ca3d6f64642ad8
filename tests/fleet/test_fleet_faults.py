"""A session on a cluster whose workers, nodes and driver are killed ends as an undisturbed one at home."""

from pathlib import Path
from typing import Any

import psutil
import pytest
from support.clusters import trials_in
from support.fleet_sessions import END_S, START_S, finish, record, results_of, start, wait_for
from support.repositories import BIGRAM, make_repository

from autoresearch.ledger.node_trials import LOST

pytestmark = pytest.mark.slow

MIN_PROCESSES = 2  # the process of Ray, the supervisor of its cell, and the cell
STEPS_S = 0.15  # of each of 20 steps: long enough to be killed in
SLOW = BIGRAM.replace("import numpy as np", "import time\n\nimport numpy as np").replace(
    "    while trial.progress < 1:", f"    while trial.progress < 1 and step < 20:\n        time.sleep({STEPS_S})"
)
SHARPER = SLOW.replace("SMOOTHING = 0.5", "SMOOTHING = 0.05")


def make_session(folder: Path, settings: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Return a repository with one candidate to try, and the environment of its session."""
    script = folder / "script"
    script.mkdir(parents=True)
    root = make_repository(folder / "repository", SLOW)
    (script / "01-sharper.py").write_text(SHARPER)
    own = {"BUDGET": "60s", "SEED": "7", "MAX_EXPERIMENTS": "1", "AGENT": f"scripted:{script}", "EARLY_STOP": "false"}
    return root, settings | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


def wait_for_trial(cluster: Any) -> list[psutil.Process]:
    """Wait until a trial trains; return its process of Ray, and what runs below it."""
    return wait_for(lambda: found if len(found := trials_in(cluster)) > MIN_PROCESSES else None)


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def test_a_disturbed_session_on_a_cluster_finds_what_an_undisturbed_one_finds_at_home(
    cluster: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    home, env = make_session(tmp_path / "home", settings_of)
    finish(start(home, env))
    root, env = make_session(tmp_path / "fleet", settings_of)

    driver = start(root, env, "--ray", cluster.address)
    trial = wait_for_trial(cluster)
    trial[0].kill()  # as the kernel does when memory is short
    wait_for(lambda: lost_trials(root))
    wait_for(lambda: are_gone(trial), END_S)
    trial = wait_for_trial(cluster)
    driver.kill()
    driver.communicate()
    wait_for(lambda: are_gone(trial), END_S)

    driver = start(root, env)  # it goes on with its cluster
    wait_for_trial(cluster)
    cluster.remove_node(next(node for node in cluster.list_all_nodes() if not node.head), allow_graceful=False)
    words = finish(driver)

    assert record(root) == record(home), words
    assert all(node for node in nodes_of(root))
    wait_for(lambda: not trials_in(cluster), END_S)


def lost_trials(root: Path) -> int:
    return sum(LOST in result for result in results_of(root))


def nodes_of(root: Path) -> list[str | None]:
    return [result.get("node") for result in results_of(root) if result["outcome"] == "ok"]


def test_a_request_that_no_node_can_satisfy_says_what_the_cluster_has(
    cluster: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    root, env = make_session(tmp_path, settings_of | {"AUTORESEARCH_THREADS": "64"})
    run = start(root, env, "--ray", cluster.address)
    _, words = run.communicate(timeout=START_S)
    assert run.returncode == 3 and "no node can run a trial, which needs 64 CPUs; there is" in words
