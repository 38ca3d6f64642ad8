"""How much evidence a statement needs, the categories of a change, and the version it was compared with."""

from pathlib import Path

import pytest
from support.experiments import experiment

from autoresearch.ledger import Ledger, experiment_rows, statements
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.breakdown import sum_groups
from autoresearch.ledger.categories import categories_of


@pytest.mark.parametrize(
    ("odds", "words"),
    [(None, "-"), (1.0, "over 99 %"), (0.9951, "over 99 %"), (0.994, "99 %"), (0.64, "64 %"), (0.001, "under 1 %")],
)
def test_no_probability_is_written_as_certain(odds: float | None, words: str) -> None:
    assert statements.describe_odds(odds) == words


def test_a_dead_end_needs_scores_and_none_that_was_any_good() -> None:
    assert statements.is_dead_end(scores=8, kept=0, near_misses=0)
    assert not statements.is_dead_end(scores=1, kept=0, near_misses=0)
    assert not statements.is_dead_end(scores=20, kept=1, near_misses=0)
    assert not statements.is_dead_end(scores=20, kept=0, near_misses=1)


@pytest.mark.parametrize(
    ("odds", "stored", "near"), [(0.25, True, True), (0.14, True, False), (None, True, False), (0.3, False, False)]
)
def test_a_near_miss_has_odds_of_a_gain_also_in_a_ledger_that_marked_the_noise(
    tmp_path: Path, odds: float | None, stored: bool, near: bool
) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "claude", "default", {}, {}, 0)
        row = store.add_experiment(1, 1, verdict="discard", near_miss=stored, p_gain=odds, delta=0.001, sigma=0.01)
        assert row.near_miss is near
        assert [row.near_miss for row in experiment_rows(store, session)] == [near]
        assert sum_groups(experiment_rows(store, session), [], "agent")[0].near_misses == near


@pytest.mark.parametrize(
    ("named", "change", "found"),
    [
        ("optimiser", "MATRIX_LR 0.04 -> 0.06, WARMDOWN 0.6 -> 0.9, +3 -3 lines", ("optimiser", "schedule")),
        ("architecture", "+12 -4 lines", ("architecture",)),
        ("bug", "BATCH_TOKENS 2**10 -> 3 * 2**9, FINAL_LR 0.1 -> 0.0", ("bug", "schedule")),
        ("other", "X0_INIT 0.05 -> 0.1, MATRIX_WEIGHT_DECAY 0.05 -> 0.1", ("optimiser",)),
        (None, "GAP 1 -> 2", ("other",)),
        (None, None, ()),
    ],
)
def test_a_change_has_all_its_categories(named: str | None, change: str | None, found: tuple[str, ...]) -> None:
    assert categories_of(named, change) == found


def test_an_experiment_is_compared_with_the_keep_that_it_stands_on() -> None:
    base = experiment(0, "keep", settled=0.0)
    rows = [
        base,
        experiment(1, "keep", parent=0, settled=1.0),
        experiment(2, parent=1, settled=2.0),
        experiment(3, parent=2, settled=3.0),
        experiment(4, "keep", parent=3, settled=4.0),
        experiment(5, parent=0, mode="branch", settled=5.0),
        experiment(6, "suspect", parent=4, settled=6.0, reason="found later: the audit"),
        experiment(7, parent=6, settled=7.0),
        experiment(8, parent=9, settled=8.0),
        experiment(9, parent=8, settled=9.0),
    ]
    by_n = {row.n: row for row in rows}
    found = {row.n: before.n if (before := baseline(row, by_n)) else None for row in rows}
    assert found == {0: None, 1: 0, 2: 1, 3: 1, 4: 1, 5: 4, 6: 4, 7: 6, 8: None, 9: None}
