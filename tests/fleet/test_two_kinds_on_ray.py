"""A session on a cluster of two kinds of nodes: one screens, the other confirms, and each trial says where it ran."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.clusters import add_node
from support.fleet_sessions import results_of, start
from support.programs import autoresearch
from support.repositories import BIGRAM, make_repository

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.ledger.rows import ELSEWHERE, PRESCREEN

pytestmark = pytest.mark.slow

PATIENCE_S = 1200.0  # some twelve trials, each in a process of Ray, on a busy machine

# What the kernel would say on a machine with another processor.
OTHER = """
import pathlib, re
read_text = pathlib.Path.read_text

def read(self, *args, **options):
    text = read_text(self, *args, **options)
    return re.sub(r"(model name\\s*:).*", r"\\1 Other processor", text) if str(self) == "/proc/cpuinfo" else text

pathlib.Path.read_text = read
"""


@pytest.fixture
def mixed(bytes_data: Dataset, tmp_path: Path) -> Any:
    """A head, and a node whose processor has another name."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(OTHER)
    cluster = cluster_utils.Cluster()
    try:
        add_node(cluster, bytes_data.root.parents[1], "head")
        add_node(cluster, tmp_path / "cache", "other", PYTHONPATH=str(site))
        yield cluster
    finally:
        cluster.shutdown()


def test_candidates_are_screened_on_one_kind_and_kept_on_the_other(
    mixed: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    script, root = tmp_path / "script", make_repository(tmp_path / "repository", BIGRAM)
    script.mkdir()
    (script / "01-blunter.py").write_text(BIGRAM.replace("SHARPNESS = 1.0", "SHARPNESS = 0.3"))
    (script / "02-sharper.py").write_text(BIGRAM.replace("SMOOTHING = 0.5", "SMOOTHING = 0.05"))
    ours = hardware.cpu_name().split(" (")[0]
    own = {"AGENT": f"scripted:{script}", "SEED": "7", "REPLICATES": "2", "EARLY_STOP": "false"}
    env = settings_of | {f"AUTORESEARCH_{name}": value for name, value in own.items()}
    pools = ["--pool", f"confirm={ours}", "--pool", "screen=Other processor"]
    run = start(root, env, "--ray", mixed.address, *pools)
    _, words = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, words
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        session = ledger.find_session("t")
        loser, gain = (ledger.experiment(session.id, n) for n in (1, 2))
        purposes = {n: [t.purpose for t in ledger.trials(session.id, n + 1)] for n in (1, 2)}
        trials = ledger.trials(session.id)
    assert loser is not None and gain is not None
    assert (loser.verdict, gain.verdict) == ("discard", "keep"), words
    assert purposes[1] == [PRESCREEN] and purposes[2][:2] == [PRESCREEN, "screen"]
    for trial in trials:
        there = trial.purpose in ELSEWHERE
        assert ("Other processor" in trial.result["pool"]) is there
        assert ("Other processor" in trial.result["identity"]["cpu"]) is there
    nodes = {result["node"]: result["pool"] for result in results_of(root) if result.get("node")}
    assert len(nodes) == 2 and len(set(nodes.values())) == 2
    listed = json.loads(autoresearch(root, "status", "--json", env=settings_of).stdout)["nodes"]
    assert {node["node"]: node["pool"] for node in listed} == nodes
