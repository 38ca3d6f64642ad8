"""What the measurements before a first session show."""

import pytest

from autoresearch.measure.result import Result
from autoresearch.metric import Metric
from autoresearch.setup.calibration import Calibration
from autoresearch.setup.night_forecast import describe_reaction

BASE = tuple(Result("ok", score) for score in (2.0, 2.1, 2.2, 1.9, 2.0))


@pytest.mark.parametrize("score", [0.0, -1.0])
def test_a_broken_version_that_takes_no_time_is_rewarded(score: float) -> None:
    broken = Result("ok", score)
    measured = Calibration(BASE, broken, {"a.py": broken, "b.py": Result("ok", 9.0)}, Metric("runtime_seconds"))
    assert measured.metric.kind == "time"
    assert measured.rewarded == ["a.py"] and measured.unmoved == [] and not measured.ties
    comment, worse, loses = describe_reaction(measured)
    assert "the command measures the text itself" in comment and loses == "b.py broken loses (9)"
    assert worse.startswith("WARNING: with a.py broken the number is better (")


def test_a_broken_version_that_takes_no_time_loses_where_more_is_better() -> None:
    measured = Calibration(BASE, None, {"a.py": Result("ok", 0.0)}, Metric("time_alive", goal="max"))
    assert measured.metric.kind == "time" and measured.rewarded == measured.unmoved == []
