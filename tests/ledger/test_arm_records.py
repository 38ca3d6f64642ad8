"""The record of an arm: gains, costs, and what counts as one proposal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoresearch.judge.allocation import ArmRecord
from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.arm_records import arm_records


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.create_session("t", "autoresearch/t", "b" * 40, "mix: a, b", "default", {}, {}, 7)
        yield ledger


def add(store: Ledger, n: int, arm: str | None, lasted: float = 10.0, **columns: Any) -> Experiment:
    """Add a discard that was measured for so long; `columns` say otherwise."""
    about = {"verdict": "discard", "val_bpb": 2.0, "delta": 0.1, "p_gain": 0.1, "state": "settled", "settled": 1.0}
    row = store.add_experiment(1, n, **about | {"arm": arm} | columns)
    for purpose in ("screen", "sentinel"):
        trial = store.start_trial(1, row.id, purpose, 1, "blob")
        store.end_trial(trial.id, "ok", 2.0, {})
        store.connection.execute("UPDATE trials SET ended = started + ? WHERE id = ?", (lasted, trial.id))
    return row


def records(store: Ledger, usd_per_hour: float = 0.0) -> list[ArmRecord]:
    rounded = arm_records(store, store.find_session("t"), ["a", "b"], usd_per_hour)
    return [
        ArmRecord(
            each.name, tuple(round(x, 6) for x in each.gains), tuple(round(x, 6) for x in each.costs), each.pending
        )
        for each in rounded
    ]


def test_a_keep_is_credited_when_it_is_settled(store: Ledger) -> None:
    add(store, 1, "a", verdict="keep", delta=-0.02)
    add(store, 2, "a", verdict="keep", delta=-0.02, reason="less code for the same score")
    add(store, 3, "b", verdict="keep", delta=-0.04, state="decided")
    assert records(store) == [ArmRecord("a", (0.02, 0.0), (10.0, 10.0)), ArmRecord("b", (), (), 1)]


def test_a_pool_shares_its_gain_and_its_trials_between_its_parts(store: Ledger) -> None:
    add(store, 1, "a")
    add(store, 2, "b")
    add(store, 3, "b")
    add(store, 4, None, lasted=30.0, agent="pool", verdict="keep", delta=-0.03, params={"pooled": [1, 2, 3]})
    assert records(store) == [ArmRecord("a", (0.01,), (20.0,)), ArmRecord("b", (0.01, 0.01), (20.0, 20.0))]


def test_a_change_that_is_made_again_is_one_proposal(store: Ledger) -> None:
    dropped = {"val_bpb": None, "delta": None, "p_gain": None}
    add(store, 1, "a", lasted=0.0, **dropped)
    add(store, 2, "a", origin=1, verdict="keep", delta=-0.02)
    add(store, 3, "b", lasted=0.0, **dropped)  # never made again: it was not tried
    assert records(store) == [ArmRecord("a", (0.02,), (10.0,)), ArmRecord("b", (), ())]
    store.add_call(1, n=1, arm="a", cost_usd=0.3)
    assert records(store)[0].costs == (0.3,), "the dollars of the first attempt"


def test_dollars_belong_to_the_arm_that_spent_them(store: Ledger) -> None:
    add(store, 1, "a", params={"conversation": 1}, cost_usd=9.0)
    add(store, 2, "a", params={"conversation": 1}, cost_usd=9.0)
    add(store, 3, "a", cost_usd=0.5)
    for n, arm, usd in ((1, "a", 0.6), (1, "b", 0.1), (None, "b", 5.0)):
        store.add_call(1, n=n, arm=arm, cost_usd=usd)
    store.event(1, "broken", "no edit", n=1, data={"arm": "b"})
    assert records(store) == [ArmRecord("a", (0.0,) * 3, (0.3, 0.3, 0.5)), ArmRecord("b", (0.0,), (0.1,))]
    assert records(store, usd_per_hour=360.0)[0].costs == (1.3, 1.3, 1.5)
