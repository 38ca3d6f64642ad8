"""A trial whose curve says that it has lost is stopped, or runs on to show whether it had."""

from collections.abc import Sequence

import psutil
import pytest
from support.programs import has_ended

from autoresearch.data.dataset import Dataset
from autoresearch.measure.loss_curve import Point
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Behind, Result
from autoresearch.measure.settings import Settings, TrialPlan

LOOK = 0.3


def processes() -> set[psutil.Process]:
    """Return the processes that this one has started and that have not ended."""
    found = psutil.Process().children(recursive=True)
    return {each for each in found if not has_ended(each)}


def measure(source: str, settings: Settings, data: Dataset, runs_on: bool) -> tuple[Result, list[float]]:
    """Measure a version that is found behind at its first point after `LOOK`; return when it was asked for."""
    asked = list[float]()

    def find_behind(progress: float, curve: Sequence[Point]) -> Behind | None:
        asked.append(progress)
        return Behind(progress, 0.03, 0.004, "behind") if progress >= LOOK and curve else None

    slow = source.replace("        step += 1", "        step += 1; import time; time.sleep(0.02)", 1)
    assert slow != source
    plan = TrialPlan(find_behind=find_behind, runs_on=runs_on)
    return CellReferee(settings, data).measure(slow, 1, plan), asked


def test_a_trial_that_is_behind_is_stopped_without_a_score(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    before = processes()
    result, asked = measure(bigram, quick, bytes_data, runs_on=False)
    assert (result.outcome, result.reason, result.val_bpb, result.ended_early) == ("stopped", "behind", None, False)
    assert result.behind == {"progress": asked[-1], "delta": 0.03, "odds": 0.004}
    assert LOOK <= asked[-1] < 1 and result.curve[-1]["step"] < 20
    assert processes() <= before


def test_one_that_runs_on_has_a_score_and_what_was_found(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    result, asked = measure(bigram, quick, bytes_data, runs_on=True)
    assert result.outcome == "ok" and result.val_bpb == pytest.approx(3.0, abs=3.0)
    assert result.behind is not None and result.behind["progress"] == asked[-1] < 1  # it is asked no more
    assert result.curve[-1]["step"] == 20
