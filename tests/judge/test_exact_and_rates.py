"""Decisions on numbers that are exact, and on rates over tasks."""

import numpy as np
import pytest

from autoresearch import judge
from autoresearch.judge import Draw
from autoresearch.metric import Metric

COUNT = Metric("comparators", kind="exact")
SHARE = Metric("accuracy", goal="max", kind="exact")
SOLVED = Metric("solved", goal="max", kind="rate")


def draws(*scores: float) -> list[Draw]:
    return [Draw(score, at) for at, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("metric", "candidate", "incumbent", "step", "simpler", "action"),
    [
        (COUNT, [36], [37, 37], 1.0, None, "run_again"),
        (COUNT, [36, 36], [37, 37], 1.0, None, "keep"),
        (COUNT, [37], [37], 1.0, None, "discard"),
        (COUNT, [38], [37], 1.0, None, "discard"),
        (COUNT, [36, 38], [37], 1.0, None, "discard"),  # its second run is worse: it is not exact
        (COUNT, [37], [37], 1.0, "less code", "run_again"),
        (COUNT, [37, 37], [37], 1.0, "less code", "keep"),
        (SHARE, [-0.51, -0.51], [-0.5], 0.01, None, "keep"),
        (SHARE, [-0.5 - 1e-16, -0.5 - 1e-16], [-0.5], 0.0, None, "discard"),  # the order of a sum
    ],
)
def test_an_exact_number_is_kept_if_a_second_run_confirms_it(
    metric: Metric, candidate: list[float], incumbent: list[float], step: float, simpler: str | None, action: str
) -> None:
    assert judge.decide_exact(draws(*candidate), draws(*incumbent), metric, step, simpler).action == action


def trial(solved: set[int], count: int = 60) -> dict[str, float]:
    return {str(task): float(task in solved) for task in range(count)}


def test_the_error_of_a_rate_is_that_of_the_tasks_on_which_versions_differ() -> None:
    """Five tasks of sixty for the better: McNemar's error, with one task more."""
    ours, theirs = [trial(set(range(25)))], [trial(set(range(20)))]
    expected = np.sqrt(5 - 25 / 60 + 1) / 60
    assert judge.task_error(ours, theirs, 0.0) == pytest.approx(expected)
    assert judge.task_error(theirs, theirs, 0.0) == pytest.approx(1 / 60)
    assert judge.task_error(ours, theirs, 1.0) == 0.0  # all of it is the luck of seeds
    turned = [dict(reversed(ours[0].items()))]
    assert judge.task_error(turned, theirs, 0.0) == pytest.approx(expected)


def test_the_noise_of_seeds_is_found_from_the_results_of_each_task() -> None:
    rng = np.random.default_rng(0)
    trials = [{str(task): float(rng.random() < 0.5) for task in range(400)} for _ in range(4)]
    sigma, dof = judge.seed_noise([trials]) or (0.0, 0.0)
    assert sigma == pytest.approx(0.5 / 20, rel=0.1) and dof > 0
    assert judge.seed_noise([[trials[0], trials[0]]]) == (0.0, dof)
    assert judge.seed_noise([[trials[0]]]) is None


def rate_decision(gained: int, lost: int, action: str) -> None:
    """Judge a version that solves other tasks with every seed alike, by two trials."""
    base = set(range(20))
    ours = (base - set(range(lost))) | set(range(20, 20 + gained))
    candidate, incumbent = ([Draw(-len(each) / 60, at) for at in range(3)] for each in (ours, base))
    noise = judge.rate_noise(judge.noise([candidate[1:], incumbent], (0.0, 8.0)), 60)
    error = judge.task_error([trial(ours)], [trial(base)], 0.0)
    decision = judge.decide("rate", candidate[:2], incumbent, noise, metric=SOLVED, task_error=error)
    assert decision.action == action, decision.reason


def test_a_rate_needs_more_than_a_task_or_two() -> None:
    rate_decision(gained=1, lost=0, action="discard")
    rate_decision(gained=4, lost=3, action="discard")
    rate_decision(gained=8, lost=0, action="keep")
    rate_decision(gained=0, lost=8, action="discard")


def test_a_reason_has_the_sign_of_the_number() -> None:
    noise = judge.noise([draws(-0.5, -0.51, -0.49)])
    decision = judge.decide("default", draws(-0.9, -0.9), draws(-0.5, -0.51, -0.49), noise, metric=SOLVED)
    assert decision.delta < 0 and "+0.400 (+40.0 sigma)" in decision.reason
