"""Evidence from the trials in a ledger: failed trials give none, and an outlier shows that the machine changed."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sessions import context_of

from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.session.evidence import Evidence
from autoresearch.session.verdicts import verdict_columns

FAILED = ("oom", "nan", "crash", "timeout", "nothing_saved", "suspect", "infra")


def begun(store: Ledger) -> tuple[Session, Experiment]:
    session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
    return session, store.add_experiment(session.id, 0, verdict="keep", state="settled")


def trial(
    store: Ledger, session: Session, experiment: Experiment, outcome: str, score: float | None, purpose: str
) -> None:
    started = store.start_trial(session.id, experiment.id, purpose, 1, "")
    store.end_trial(started.id, outcome, score, {})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1, 3) | st.sampled_from(FAILED), max_size=8), st.floats(1, 3))
def test_failed_trials_never_count_as_scores(trials: list[float | str], last: float) -> None:
    trials = [*trials, last]
    good = [score for score in trials if isinstance(score, float)]
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as store:
        session, base = begun(store)
        for found in trials:
            ok = isinstance(found, float)
            trial(store, session, base, "ok" if ok else str(found), found if ok else None, "base")
        evidence = Evidence(context_of(store, session), replicates=3)
        assert evidence.scores(base) == good
        assert evidence.noise().dof == max(0, len(good) - 1)


@pytest.mark.parametrize(
    ("before", "now", "told"), [(7, 2.012, True), (7, 1.988, True), (7, 2.003, False), (3, 2.012, False)]
)
def test_an_incumbent_far_from_its_own_past_is_drift(tmp_path: Path, before: int, now: float, told: bool) -> None:
    """Eight sigma are nothing where three trials are all that tells what a sigma is."""
    with Ledger.open(tmp_path / "ledger.db") as store:
        session, base = begun(store)
        evidence = Evidence(context_of(store, session), replicates=3)
        for score in (2.000, 2.002, 1.998, 2.001, 1.999, 2.002, 1.999)[:before]:
            trial(store, session, base, "ok", score, "base")
            assert evidence.drift_warning(base) is None
        trial(store, session, base, "ok", now, "sentinel")
        assert (evidence.drift_warning(base) is not None) is told


def test_a_version_without_a_fresh_score_shows_no_drift() -> None:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as store:
        session, base = begun(store)
        trial(store, session, base, "ok", 1.0, "screen")
        trial(store, session, base, "crash", None, "sentinel")
        assert Evidence(context_of(store, session), replicates=3).drift_warning(base) is None


def test_an_incumbent_that_can_no_longer_be_measured_does_not_stop_the_search(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session, base = begun(store)
        trial(store, session, base, "ok", 2.0, "base")
        evidence = Evidence(context_of(store, session), replicates=1, prior=(0.002, 20))
        better = store.add_experiment(session.id, 1, parent=0, mode="improve", state="measuring")
        purposes = []
        while (purpose := evidence.next_purpose(better)) is not None:
            purposes.append(purpose)
            if purpose == "sentinel":
                trial(store, session, base, "crash", None, purpose)
            else:
                trial(store, session, better, "ok", 1.9965, purpose)
        assert purposes.count("sentinel") == 2, purposes
        assert verdict_columns(evidence, better)["verdict"] == "keep"


def test_a_candidate_is_judged_by_the_noise_that_versions_have_by_now(tmp_path: Path) -> None:
    """As measured in a session with a language model: the base scattered by 0.016, later versions by 0.0006."""
    base_scores = (1.6566, 1.6640, 1.6544, 1.6605, 1.6598, 1.6483, 1.6585, 1.6622, 1.6887, 1.6988)
    kept_scores = (1.3326, 1.3319, 1.3330, 1.3311, 1.3309, 1.3332, 1.3317)
    with Ledger.open(tmp_path / "ledger.db") as store:
        session, base = begun(store)
        for score in base_scores:
            trial(store, session, base, "ok", score, "base")
        kept = store.add_experiment(session.id, 1, parent=0, mode="improve", verdict="keep", state="settled")
        for score in kept_scores:
            trial(store, session, kept, "ok", score, "rerun")
        better = store.add_experiment(session.id, 2, parent=1, mode="improve", state="measuring")
        evidence, scores = Evidence(context_of(store, session), replicates=3), iter((1.3271, 1.3274, 1.3255, 1.3267))
        assert 0.0005 < evidence.noise().sigma < 0.003
        while (purpose := evidence.next_purpose(better)) is not None:
            sentinel = purpose == "sentinel"
            trial(store, session, kept if sentinel else better, "ok", 1.3322 if sentinel else next(scores), purpose)
        verdict = verdict_columns(evidence, better)
        assert verdict["verdict"] == "keep", verdict
        assert verdict["sigma"] < 0.003


@pytest.mark.parametrize(("budget", "limited_by"), [("5s", 1.0), ("9s", None)])
def test_the_time_of_a_base_from_another_session_is_limited_by_the_humans(
    tmp_path: Path, budget: str, limited_by: float | None
) -> None:
    def base_that_spent(load: float, budget: str, from_tag: str | None = None) -> tuple[Session, Experiment]:
        tag = f"{budget}-{load}"
        row = store.create_session(tag, tag, "s", "sweep", "default", {"budget": budget}, {}, 0, from_tag=from_tag)
        base = store.add_experiment(row.id, 0, verdict="keep", state="settled")
        started = store.start_trial(row.id, base.id, "base", 1, "")
        store.end_trial(started.id, "ok", 2.0, {"spent": {"setup": 1.0, "load": load, "answer": 1.0}})
        return row, base

    with Ledger.open(tmp_path / "ledger.db") as store:
        human, base = base_that_spent(1.0, "5s")
        assert Evidence(context_of(store, human), replicates=3).base_overhead(base.n) is None
        row, base = base_that_spent(1.5, budget, from_tag=human.tag)
        overhead = Evidence(context_of(store, row), replicates=3).base_overhead(base.n)
        assert (overhead.load if overhead else None) == limited_by
        later = store.add_experiment(row.id, 1, parent=0)
        overhead = Evidence(context_of(store, row), replicates=3).base_overhead(later.n)
        assert overhead is not None and overhead.load == (limited_by or 1.5)
