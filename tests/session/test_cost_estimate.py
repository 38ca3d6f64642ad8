"""The estimate of a session's cost after three experiments."""

from dataclasses import replace

from autoresearch.ledger import Call
from autoresearch.session.stopping import estimate_cost

CALL = Call(1, 1, 1, "propose", "m", 10, 0, 0, 10, 0.25, 1.0, None, 0.0)


def test_an_estimate_counts_all_calls_and_the_time_that_is_left() -> None:
    calls = [CALL, replace(CALL, n=2), replace(CALL, n=3, cost_usd=0.1)]
    assert (
        estimate_cost(calls, 3, 1000.0, 9000.0)
        == "$0.200 an experiment so far: about $5.40 more for 27 experiments until the deadline"
    )
    assert estimate_cost(calls, 3, 1000.0, None) == "$0.200 an experiment so far"
    assert (
        estimate_cost(calls, 3, 1000.0, -5.0)
        == "$0.200 an experiment so far: about $0.00 more for 0 experiments until the deadline"
    )


def test_an_unknown_price_says_how_it_becomes_known() -> None:
    unknown = [replace(CALL, model=model, cost_usd=None) for model in ("mine", "a:b", "mine")]
    assert estimate_cost([CALL, *unknown], 3, 1000.0, None) == (
        "cost unknown: `prices: {a:b: {input: ..., output: ...}, mine: {input: ..., output: ...}}`"
        " in autoresearch.yaml gives later calls a price"
    )


def test_what_is_free_is_not_estimated() -> None:
    assert estimate_cost([], 3, 1000.0, 9000.0) is None
    assert estimate_cost([replace(CALL, cost_usd=0.0)], 3, 1000.0, None) is None
