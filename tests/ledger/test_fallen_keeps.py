"""What failed audits of keeps change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoresearch.ledger import Ledger
from autoresearch.ledger.failed_audits import Demotions, find_demotions

# number: verdict and parent; 3 is a near miss on 2, 4 was built on that, 5 branched from 1
TREE = {
    0: ("keep", None),
    1: ("keep", 0),
    2: ("keep", 1),
    3: ("discard", 2),
    4: ("keep", 3),
    5: ("keep", 1),
    6: ("discard", 5),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        for n, (verdict, parent) in TREE.items():
            about = {
                "state": "settled",
                "val_bpb": 2.0,
                "delta": -0.1,
                "p_gain": 0.9,
                "near_miss": verdict == "discard",
            }
            store.add_experiment(session.id, n, verdict=verdict, parent=parent, blob=f"blob {n}", **about)
        yield store


def trial(store: Ledger, n: int, outcome: str = "suspect", blob: str | None = None, purpose: str = "total") -> None:
    experiment = store.experiment(1, n)
    assert experiment is not None
    started = store.start_trial(1, experiment.id, purpose, 7, blob or f"blob {n}")
    store.end_trial(started.id, outcome, None, {"reason": f"audit of {n}"})


def found(store: Ledger) -> Demotions:
    demotions = find_demotions(store, 1)
    assert demotions is not None
    return demotions


def test_nothing_follows_from_other_trials(store: Ledger) -> None:
    trial(store, 2, outcome="crash")
    trial(store, 2, blob="the text without one change", purpose="ablate")
    trial(store, 3, purpose="screen")
    assert find_demotions(store, 1) is None


def test_what_was_built_on_it_falls_too_and_the_rest_stands(store: Ledger) -> None:
    trial(store, 2)
    demotions = found(store)
    assert demotions.suspects == {
        2: "found later: audit of 2 (total trial, seed 7)",
        4: "found later: built on experiment 2, which is suspect",
    }
    assert (demotions.misses, demotions.fallback) == (frozenset({3}), 5)


def test_the_newest_keep_that_stands_may_be_an_older_one(store: Ledger) -> None:
    trial(store, 1, purpose="sentinel")
    assert (list(found(store).suspects), found(store).fallback) == ([1, 2, 4, 5], 0)
    trial(store, 0)
    assert (list(found(store).suspects), found(store).fallback) == ([0, 1, 2, 4, 5], None)


def test_a_keep_that_is_about_to_be_settled_falls_too(store: Ledger) -> None:
    store.add_experiment(1, 7, verdict="keep", parent=5, state="decided", blob="blob 7")
    trial(store, 5)
    assert (list(found(store).suspects), found(store).fallback) == ([5, 7], 4)


def test_a_demotion_withdraws_the_score_and_records_what_it_was(store: Ledger) -> None:
    trial(store, 2)
    demotions = found(store)
    events = store.demote(1, demotions.suspects, demotions.misses, "the incumbent is experiment 5")
    rows = {row.n: row for row in store.experiments(1)}
    assert [n for n, row in rows.items() if row.found_later] == [2, 4]
    assert {(rows[n].val_bpb, rows[n].delta, rows[n].p_gain) for n in (2, 4)} == {(None, None, None)}
    assert [row.near_miss for row in rows.values()] == [n == 6 for n in rows]
    assert [event.n for event in events] == [2, 4, 3]
    assert events[0].data["was"] == {"verdict": "keep", "reason": None, "val_bpb": 2.0, "delta": -0.1, "p_gain": 0.9}
    assert find_demotions(store, 1) is None
