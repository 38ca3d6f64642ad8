"""The scale of a metric, and how people read it."""

import math

import pytest

from autoresearch.metric import VAL_BPB, Metric, describe_gain, read_metric


@pytest.mark.parametrize(("goal", "kind"), [("min", "noisy"), ("max", "noisy"), ("min", "time"), ("max", "time")])
def test_lower_is_better_on_the_scale_and_the_raw_value_comes_back(goal: str, kind: str) -> None:
    metric = Metric("x", goal=goal, kind=kind)
    better, worse = (0.9, 0.5) if goal == "max" else (0.5, 0.9)
    assert metric.to_scale(better) < metric.to_scale(worse) and metric.beats(better, worse)
    assert metric.from_scale(metric.to_scale(better)) == pytest.approx(better)
    change = metric.raw_change(metric.difference(better, worse))
    assert (change > 0) == (goal == "max") and metric.delta(change) == pytest.approx(metric.difference(better, worse))
    low, high = metric.band(0.5, 0.1)
    assert low < 0.5 < high


def test_numbers_have_the_digits_that_matter_and_the_sign_of_the_raw_value() -> None:
    accuracy, runtime = Metric("accuracy", goal="max"), Metric("runtime", "ms", kind="time")
    assert (accuracy.score(0.83666), accuracy.change(-0.0123), accuracy.sigmas(-3.0)) == ("0.83666", "+0.0123", "+3.0")
    assert (Metric("count").score(36.0), Metric("count").change(-1.0)) == ("36", "-1")
    assert runtime.change(math.log(0.5)) == "-50 %" and runtime.with_unit("12") == "12 ms"
    assert (VAL_BPB.score(1.5), VAL_BPB.change(-0.01), VAL_BPB.exact_score(1.5)) == ("1.5000", "-0.0100", "1.500000")
    tiny = Metric("error")
    assert (tiny.score(3.2e-11), tiny.change(-4.56e-12), tiny.spread(1.2e-10)) == ("3.2e-11", "-4.56e-12", "1.2e-10")
    assert (tiny.score(1e300), tiny.score(2.5e16), tiny.score(1e14)) == ("1e+300", "2.5e+16", "1" + "0" * 14)
    assert (tiny.score(0.00012345), tiny.change(0.0)) == ("0.00012345", "+0")
    assert describe_gain(0.0, Metric("steps", kind="exact")) == "any gain of steps"


def test_sessions_without_a_metric_have_that_of_the_built_in_trial() -> None:
    assert read_metric({"budget": "300s"}) is VAL_BPB
    assert read_metric({"metric": "auc", "goal": "max", "unit": None}) == Metric("auc", goal="max")
