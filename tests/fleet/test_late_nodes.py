"""Nodes that cannot run trials, or cannot any more, on a Ray that runs its tasks in this process."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.local_ray import LocalRay
from support.repositories import BIGRAM
from test_pools import facts

from autoresearch import __version__
from autoresearch.data.dataset import Dataset
from autoresearch.fleet import ray_referee
from autoresearch.fleet.cluster import Cluster
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.node_data import DataSource
from autoresearch.fleet.orders import refuse_node
from autoresearch.fleet.ray_referee import POLL_S, RayReferee
from autoresearch.measure.settings import Settings, TrialPlan


@pytest.fixture
def ray(bytes_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalRay:
    """A node without a folder for its cache, and a good one."""
    (tmp_path / "file").touch()
    caches = {"bad": tmp_path / "file", "good": bytes_data.root.parents[1]}
    ray = LocalRay({id: {"AUTORESEARCH_CACHE": str(cache)} for id, cache in caches.items()})
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def referee_on(ray: LocalRay, inspected: str, data: Dataset, quick: Settings, said: list[str]) -> RayReferee:
    """Return the referee of a fleet of which one node was inspected when it was opened."""
    cluster = Cluster("local", ray)
    cluster.open_mailbox()
    nodes = {node.id: node for node in cluster.nodes()}
    fleet = Fleet(cluster, "cpu", 1, False, nodes, {inspected: facts(inspected)}, {})
    return RayReferee(quick, DataSource(data), fleet, "test", said.append)


def test_a_late_node_that_cannot_start_a_trial_is_left_out(ray: LocalRay, bytes_data: Dataset, quick: Settings) -> None:
    said = list[str]()
    referee = referee_on(ray, "good", bytes_data, quick, said)
    result = referee.measure(BIGRAM, 3)
    assert (result.outcome, ray.ran_on) == ("ok", ["bad", "good"]), result.reason
    assert len(said) == 1 and "-bad is left out: no trial can be started: " in said[0]
    referee.measure(BIGRAM, 4)
    assert ray.ran_on == ["bad", "good", "good"]


def test_a_trial_that_waits_for_a_node_that_has_ended_runs_on_one_to_avoid(
    ray: LocalRay, bytes_data: Dataset, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_referee, "RECHECK_S", POLL_S)
    referee = referee_on(ray, "good", bytes_data, quick, [])
    ray.kill("bad")
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(referee.measure, BIGRAM, 3, TrialPlan(avoid=frozenset({"good"})))
        with pytest.raises(TimeoutError):
            trial.result(4 * POLL_S)
        ray.forget("bad")
        result = trial.result(60)
    assert (result.outcome, ray.ran_on) == ("ok", ["good"]), result.reason


def test_a_trial_without_a_node_ends_once_its_wait_is_over(
    ray: LocalRay, bytes_data: Dataset, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_referee, "START_S", POLL_S)
    referee = referee_on(ray, "good", bytes_data, quick, [])
    ray.kill("bad")
    ray.kill("good")
    began = time.monotonic()
    result = referee.measure(BIGRAM, 3, TrialPlan(is_wait_over=lambda: time.monotonic() > began + 2 * POLL_S))
    assert result.ended_early and result.outcome == "infra" and ray.ran_on == []
    assert time.monotonic() < began + 10 * POLL_S


def test_a_pool_keeps_its_identity_when_the_only_inspected_node_is_left_out(
    ray: LocalRay, bytes_data: Dataset, quick: Settings
) -> None:
    referee = referee_on(ray, "bad", bytes_data, quick, [])
    kind, identity = referee.fleet.kind, referee.fleet.identity
    result = referee.measure(BIGRAM, 3)
    assert (result.outcome, ray.ran_on) == ("ok", ["bad", "good"]), result.reason
    assert (referee.fleet.kind, referee.fleet.identity) == (kind, identity)


def test_a_late_node_of_another_version_is_refused() -> None:
    late = facts("a", version="0.0")
    assert refuse_node(late, late.identity, False) == f"it has autoresearch 0.0: install {__version__} there"
