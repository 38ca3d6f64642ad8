"""One trial on a node, as its driver follows it: progress, the question of the holdout, and an early end."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.clusters import trials_in
from support.fleet_sessions import END_S, wait_for
from support.repositories import BIGRAM

from autoresearch.config import Config
from autoresearch.data.dataset import Dataset
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.node_data import DataSource
from autoresearch.fleet.ray_referee import RayReferee
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Progress
from autoresearch.measure.settings import Settings, TrialPlan

pytestmark = pytest.mark.slow


@pytest.fixture
def referee(cluster: Any, bytes_data: Dataset, quick: Settings) -> Iterator[RayReferee]:
    fleet = Fleet.open(Config(ray=cluster.address, device="cpu"))
    yield RayReferee(quick, DataSource(bytes_data), fleet, "test", print)
    fleet.cluster.close()


def test_a_node_measures_what_this_machine_measures_and_asks_for_the_holdout(
    referee: RayReferee, bytes_data: Dataset, quick: Settings
) -> None:
    asked, seen = list[float](), list[Progress]()
    plan = TrialPlan(wants_holdout=lambda score: bool(asked.append(score)) or True, watch=seen.append)
    away = referee.measure(BIGRAM, 3, plan)
    here = CellReferee(quick, bytes_data).measure(BIGRAM, 3, TrialPlan(wants_holdout=lambda score: True))
    assert (away.outcome, away.val_bpb, away.holdout_bpb) == ("ok", here.val_bpb, here.holdout_bpb), away.reason
    assert asked == [here.val_bpb] and seen
    assert away.node and away.grade == here.grade


def test_a_trial_that_is_not_wanted_any_more_ends_on_its_node(cluster: Any, referee: RayReferee) -> None:
    seen = list[Progress]()
    endless = BIGRAM.replace("    trial.start()", "    import time\n    trial.start()\n    time.sleep(60)")
    referee.settings = Settings(Budget(100, "s"), eval_rows=64, eval_batch=16)
    result = referee.measure(endless, 3, TrialPlan(watch=seen.append, is_unwanted=lambda: bool(seen)))
    assert result.ended_early and result.outcome == "infra"
    wait_for(lambda: not trials_in(cluster), END_S)
