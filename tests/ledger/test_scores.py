"""Noise of scores, and the certainty of their differences."""

import math

import pytest

from autoresearch import ledger as package
from autoresearch.ledger import Ledger, database
from autoresearch.ledger.scores import errors


def row(n: int, verdict: str = "discard", sigma: float | None = 0.01) -> tuple[object, ...]:
    return 100 + n, n, verdict, None if n == 0 else -0.1, sigma


def of(draws: str, *rows: tuple[object, ...]) -> dict[int, float]:
    """`0b 1s` and so on, as multiples of sigma squared: 1/a + 1/b."""
    names = {"b": "base", "s": "screen", "r": "rerun", "i": "sentinel"}
    found = errors(rows, [(100 + int(word[:-1]), names[word[-1]]) for word in draws.split()])
    return {n: round((error / 0.01) ** 2, 6) for n, error in found.items()}


def test_a_screening_is_one_draw_against_all_of_the_base() -> None:
    assert of("0b 0b 0b 1s", row(0, "keep"), row(1)) == {1: round(1 + 1 / 3, 6)}


def test_the_draw_that_selected_it_does_not_count() -> None:
    assert of("0b 0b 1s 1r 1r", row(0, "keep"), row(1)) == {1: 1 / 2 + 1 / 2}


def test_measured_beside_the_incumbent_it_and_the_next_one_profit() -> None:
    draws = "0b 0b 0b 1s 1r 0i 1r 0i 2s"
    assert of(draws, row(0, "keep"), row(1), row(2)) == {1: 1 / 2 + 1 / 5, 2: 1 + 1 / 5}


def test_what_was_kept_is_the_incumbent_from_then_on() -> None:
    draws = "0b 0b 0b 1s 1r 1r 1r 1r 2s 3s"
    assert of(draws, row(0, "keep"), row(1, "keep"), row(2, "crash", None), row(3)) == {
        1: round(1 / 4 + 1 / 3, 6),
        3: 1 + 1 / 4,
    }


def test_the_greedy_rule_keeps_a_single_draw() -> None:
    assert of("0b 0b 1s 2s", row(0, "keep"), row(1, "keep"), row(2)) == {1: 1.5, 2: 2.0}


def test_sentinels_beside_a_later_experiment_do_not_count_for_an_earlier_one(tmp_path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        made = [
            store.add_experiment(
                session.id, n, verdict="discard" if n else "keep", delta=-0.1 if n else None, sigma=1.0
            )
            for n in range(3)
        ]
        for n, purpose in ((0, "base"), (1, "screen"), (2, "screen"), (2, "rerun"), (0, "sentinel")):
            trial = store.start_trial(session.id, made[n].id, purpose, 1, "b")
            store.end_trial(trial.id, "ok", 1.0, {})
        found = package.standard_errors(store, session)
        assert found == {1: pytest.approx(math.sqrt(2)), 2: pytest.approx(math.sqrt(1 + 1 / 2))}
        assert found[1] == package.experiment_rows(store, session)[1].error


def test_experiment_rows_have_it_and_the_change_of_size(tmp_path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        for n, params in ((0, 1000.0), (1, 1200.0), (2, None)):
            known = {"delta": -0.1, "sigma": 0.01} if n else {"verdict": "keep"}
            experiment = store.add_experiment(session.id, n, parent=0 if n else None, **known)
            trial = store.start_trial(session.id, experiment.id, "screen" if n else "base", 1, "b")
            store.end_trial(
                trial.id, "ok", 1.0, {"reported": {"num_params": 9e9}, "parameters": params, "peak_vram_mb": 77.0}
            )
        rows = package.experiment_rows(store, session)
        assert [(r.num_params, r.params_added) for r in rows] == [(1000, None), (1200, 200), (None, None)]
        assert rows[1].error == pytest.approx(0.01 * math.sqrt(2)) and rows[0].error is None
        assert [trial.peak_mb for trial in store.trials(session.id)] == [77.0] * 3


def test_an_older_ledger_learns_it_from_its_results(tmp_path) -> None:
    path = tmp_path / "ledger.db"
    old = database.connect(path, False, database.MIGRATIONS[:2])
    old.execute(
        "INSERT INTO sessions (id, tag, branch, base_sha, agent, judge, seed, created)"
        " VALUES (1, 't', 'b', 's', 'a', 'j', 0, 1)"
    )
    old.execute("INSERT INTO experiments (id, session_id, n, verdict, started) VALUES (1, 1, 0, 'keep', 1)")
    result = '{"reported": {"num_params": 7.0}, "parameters": 5, "peak_vram_mb": 9.0}'
    columns = "session_id, experiment_id, purpose, seed, blob, outcome, result, started, ended"
    old.execute(f"INSERT INTO trials ({columns}) VALUES (1, 1, 'base', 1, 'b', 'ok', ?, 1, 3)", (result,))
    old.close()
    with Ledger.open(path, readonly=True) as store:
        session = store.session("t")
        assert session is not None
        assert [(trial.num_params, trial.peak_mb) for trial in store.trials(session.id)] == [(5.0, 9.0)]
        assert package.experiment_rows(store, session)[0].seconds == 2


def test_what_was_held_against_an_experiment_is_found_by_its_seeds(tmp_path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        session = ledger.create_session("t", "b", "c", "a", "j", {}, {}, 7)
        rows = [ledger.add_experiment(session.id, n) for n in range(4)]

        def trial(n: int, purpose: str, seed: int, outcome: str = "ok") -> None:
            made = ledger.start_trial(session.id, rows[n].id, purpose, seed, "blob")
            ledger.end_trial(made.id, outcome, 1.0 + n if outcome == "ok" else None, {"reason": outcome})

        for k in (1, 2):
            trial(2, "rerun", session.seed_of(2, k))
            trial(0, "sentinel", session.seed_of(2, k))
        trial(2, "sentinel", session.seed_of(2, 3))  # its own, when it was the incumbent
        trial(2, "sentinel", session.seed_of(3, 1))
        trial(1, "sentinel", 12345, "infra")
        found = package.sentinels_of(ledger, session, [1, 2, 3])
        assert {n: [(of, trial.val_bpb) for of, trial in trials] for n, trials in found.items()} == {
            1: [], 2: [(0, 1.0), (0, 1.0)], 3: [(2, 3.0)],
        }  # fmt: skip
        assert [trial.seed for _, trial in found[2]] == [session.seed_of(2, k) for k in (1, 2)]
        assert [(n, trial.result["reason"]) for n, trial in package.lost_trials(ledger, session)] == [(1, "infra")]
