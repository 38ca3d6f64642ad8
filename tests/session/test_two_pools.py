"""Two pools: one drops or promotes candidates, the other keeps; their scores never meet."""

import random
import re
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pools import PROGRAM, Setter, good
from support.programs import wait
from support.referees import FunctionReferee
from support.repositories import make_repository
from support.sessions import context_of, session_of

from autoresearch.analysis import consistency
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.ledger.prescreens import DROPPED, SCREENED, SCREENING_ENDS, dropped_gains
from autoresearch.ledger.rows import ELSEWHERE, PRESCREEN, REFERENCE
from autoresearch.measure.result import Result
from autoresearch.measure.settings import CONFIRM, SCREEN, Settings, TrialPlan
from autoresearch.session.loop import SessionLoop
from autoresearch.session.screening import Screening, ScreenPool
from autoresearch.session.stopping import Limits
from autoresearch.session.two_pool_loop import TwoPoolLoop
from autoresearch.session.two_pools import TwoPoolEvidence
from autoresearch.session.verdicts import verdict_columns

HERE, THERE = {"gpu": "H200"}, {"gpu": "H100"}
POOL = ScreenPool(THERE, "H100", "H200", slots=2, confirm_slots=1)
SIGMA = 0.001

Measure = Callable[[str, int, TrialPlan], Result]
Make = Callable[..., SessionLoop]


def score(text: str, seed: int) -> float:
    """The sum of the constants, and noise of about `SIGMA` that follows from the seed."""
    return sum(map(float, re.findall(r"^[A-Z]+ = ([\d.]+)$", text, re.M))) + (seed % 97 - 48) / 28 * SIGMA


def at_home(text: str, seed: int, plan: TrialPlan) -> Result:
    return good(round(score(text, seed), 6))


def elsewhere(text: str, seed: int, plan: TrialPlan) -> Result:
    """The other card trains further in its budget: all scores are lower there."""
    return good(round(score(text, seed) - 3.0, 6))


@pytest.fixture
def make(tmp_path: Path, quick: Settings, bytes_data: Dataset) -> Make:
    root = make_repository(tmp_path / "repository", PROGRAM)

    def make(
        moves: list[tuple[str, float]], there: Measure = elsewhere, screens: int = 1, **options: Any
    ) -> SessionLoop:
        here = FunctionReferee(at_home, replace(quick, pool=CONFIRM))
        others = [FunctionReferee(there, replace(quick, pool=SCREEN)) for _ in range(screens)]
        store = Ledger.open(root / "runs" / "ledger.db")
        inputs: dict[str, Any] = {"referees": [here, *others], "identity": HERE, "screen_pool": POOL, "replicates": 3}
        return session_of(root, store, Setter(moves), quick, bytes_data, **inputs | options)

    return make


def trials_of(session: SessionLoop, n: int) -> list[Trial]:
    context = session.context
    return context.ledger.trials(context.id, context.experiment(n).id)


def purposes(session: SessionLoop, n: int) -> list[str]:
    return [trial.purpose for trial in trials_of(session, n)]


def test_a_loser_costs_one_trial_elsewhere_and_a_gain_is_kept_by_trials_at_home(make: Make) -> None:
    session = make([("ALPHA", 1.5), ("BETA", 0.9)])
    session.run()
    loser, gain = (session.context.experiment(n) for n in (1, 2))
    assert (loser.verdict, loser.val_bpb) == ("discard", None)
    assert loser.reason is not None and loser.reason.startswith(f"{DROPPED} on H100, not better")
    assert purposes(session, 1) == [PRESCREEN]
    assert gain.verdict == "keep" and gain.val_bpb == pytest.approx(4.9, abs=3 * SIGMA)
    assert purposes(session, 2)[:2] == [PRESCREEN, "screen"] and "rerun" in purposes(session, 2)
    assert purposes(session, 0).count(REFERENCE) == 3


def test_every_trial_names_its_pool_and_what_it_measured_on(make: Make) -> None:
    session = make([("ALPHA", 1.5), ("BETA", 0.9)])
    session.run()
    for n in range(3):
        for trial in trials_of(session, n):
            where = ("H100", THERE) if trial.purpose in ELSEWHERE else ("H200", HERE)
            assert (trial.result["pool"], trial.result["identity"]) == where


def test_a_crash_elsewhere_is_a_crash_and_too_little_memory_there_is_not(make: Make) -> None:
    def fails(text: str, seed: int, plan: TrialPlan) -> Result:
        if "ALPHA = 0.9" in text:
            return Result("crash", reason="IndexError", seed=seed)
        return Result("oom", reason="out of memory", seed=seed) if "BETA = 0.9" in text else elsewhere(text, seed, plan)

    session = make([("ALPHA", 0.9), ("BETA", 0.9)], fails)
    session.run()
    crash, large = (session.context.experiment(n) for n in (1, 2))
    assert crash.verdict == "crash" and crash.reason == "crash in its prescreen on H100: IndexError"
    assert purposes(session, 1) == [PRESCREEN]
    assert large.verdict == "keep"


def test_all_that_are_promoted_are_confirmed_before_the_session_ends(make: Make) -> None:
    moves = [("ALPHA", 0.997), ("BETA", 1.5), ("GAMMA", 0.998), ("DELTA", 0.997)]
    session = make(moves, screens=2, limits=Limits(max_experiments=4))
    assert session.run() == "max experiments"
    context = session.context
    promoted = [event.n for event in context.ledger.events(context.id, kind=SCREENED) if event.data["promoted"]]
    assert promoted, "nothing reached the other pool"
    for row in (context.experiment(n) for n in promoted if n is not None):
        assert row.state == "settled" and "session ended" not in (row.reason or "")


def test_where_screening_has_ended_every_candidate_is_measured_at_home(make: Make) -> None:
    session = make([("ALPHA", 1.5), ("BETA", 0.9)])
    session.context.emit(SCREENING_ENDS, None, "screening on H100 ends", pool=POOL.key)
    assert session.run() == "agent exhausted"
    assert purposes(session, 1) == ["screen"] and session.context.experiment(2).verdict == "keep"
    assert REFERENCE not in purposes(session, 0)


def test_a_screening_pool_without_nodes_ends_screening_until_the_next_run(make: Make) -> None:
    def gone(text: str, seed: int, plan: TrialPlan) -> Result:
        return Result("infra", reason="no node was free for 30 minutes", seed=seed)

    session = make([("ALPHA", 1.5), ("BETA", 0.9)], gone, screens=2, screen_pool=replace(POOL))
    assert session.run() == "agent exhausted"
    first, second, *again = session.context.ledger.experiments(1)[1:]  # the first may be made again on the second
    assert second.verdict == "keep" and first.verdict == "discard"
    assert purposes(session, again[0].n if again else 1) == ["screen"]
    said = [event.text for event in session.context.ledger.events(1, kind=SCREENING_ENDS)]
    assert len(said) == 1 and "no node was free for 30 minutes; until the next `autoresearch run`" in said[0]
    later = make([("GAMMA", 1.5)], screen_pool=replace(POOL))
    later.run()
    assert purposes(later, 3 + len(again)) == [PRESCREEN]


def test_a_session_that_was_cut_off_goes_on_where_each_candidate_was(make: Make) -> None:
    session = make([("ALPHA", 1.5), ("BETA", 0.9)])
    session.run()
    context = session.context
    kept = context.experiment(2)
    context.ledger.update_experiment(kept.id, state="measuring", verdict=None, reason=None, val_bpb=None, settled=None)
    make([]).run()
    assert context.experiment(2).verdict == "keep" and purposes(session, 2).count(PRESCREEN) == 1
    assert purposes(session, 0).count(REFERENCE) == 3


def test_a_gain_that_is_superseded_after_screening_is_measured_at_home(make: Make, quick: Settings) -> None:
    def slowly_at_home(text: str, seed: int, plan: TrialPlan) -> Result:
        if "ALPHA = 0.9" in text and "BETA = 1.0" in text:
            wait(lambda: session.handover.has_waiting(), "another gain that waits")
            wait(lambda: not screening.is_alive(), "the end of the slot that screens")
        return at_home(text, seed, plan)

    def there(text: str, seed: int, plan: TrialPlan) -> Result:
        nonlocal screening
        screening = threading.current_thread()
        return elsewhere(text, seed, plan)

    screening = threading.current_thread()
    referees = [
        FunctionReferee(slowly_at_home, replace(quick, pool=CONFIRM)),
        FunctionReferee(there, replace(quick, pool=SCREEN)),
    ]
    session = cast(TwoPoolLoop, make([("ALPHA", 0.9), ("BETA", 0.9)], referees=referees))
    assert session.run() == "agent exhausted"
    found = session.context.ledger.experiments(session.context.id)
    assert [row.verdict for row in found] == ["keep", "keep", "discard", "keep"]
    assert (found[3].origin, found[3].parent) == (2, 1)
    assert not {PRESCREEN, REFERENCE} & {*purposes(session, 3)}
    assert consistency.check(session.context.runs.parent) == []


def test_a_trial_that_runs_when_screening_ends_is_waited_for(make: Make, quick: Settings) -> None:
    begun = threading.Event()

    def slowly_at_home(text: str, seed: int, plan: TrialPlan) -> Result:
        if "ALPHA = 0.9" in text:
            wait(begun.is_set, "the prescreen of another gain")
        return at_home(text, seed, plan)

    def there(text: str, seed: int, plan: TrialPlan) -> Result:
        if "BETA = 0.9" in text:
            session.context.emit(SCREENING_ENDS, None, "screening on H100 ends", pool=POOL.key)
            begun.set()
            wait(lambda: session.context.experiment(1).state == "settled", "the keep")
            time.sleep(0.5)  # the slot that confirms asks for more
        return elsewhere(text, seed, plan)

    referees = [
        FunctionReferee(slowly_at_home, replace(quick, pool=CONFIRM)),
        FunctionReferee(there, replace(quick, pool=SCREEN)),
    ]
    session = make([("ALPHA", 0.9), ("BETA", 0.9)], referees=referees)
    assert session.run() == "agent exhausted"
    found = session.context.ledger.experiments(session.context.id)
    assert [row.verdict for row in found] == ["keep", "keep", "discard", "keep"]


@pytest.mark.parametrize(("agreement", "ends"), [(1.0, False), (0.0, True)])
def test_screening_ends_with_a_message_where_its_gains_say_nothing(
    tmp_path: Path, agreement: float, ends: bool
) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        context, rng = context_of(store, session), random.Random(3)
        screening = Screening(context, replace(POOL, slots=6, confirm_slots=3), 3)
        for n in range(1, 151):
            true, other = rng.gauss(1, 3), rng.gauss(1, 3)
            gain, confirmed = true + rng.gauss(0, 1.15), (true if agreement else other) + rng.gauss(0, 1.15)
            promoted = gain < -0.8
            facts = {"promoted": promoted, "audited": False, "gain": gain, "variance": 1.3, "p_gain": 0.2}
            context.emit(SCREENED, n, "", **facts, pool=POOL.key, reason="")
            delta = SIGMA * confirmed if promoted or n % 20 == 0 else None
            store.add_experiment(session.id, n, parent=0, state="settled", verdict="discard", delta=delta, sigma=SIGMA)
            screening.review()
        assert screening.is_on() is not ends
        said = [event.text for event in store.events(session.id, kind=SCREENING_ENDS)]
        assert len(said) == ends and all("every candidate is measured on H200 now" in words for words in said)


# --- no trial of one pool is compared with one of the other

scores = st.sets(st.integers(-9, 9), min_size=2, max_size=4).map(lambda found: [n / 3 for n in sorted(found)])
one = st.integers(-30, 30).map(lambda found: found / 5)


def fill(
    store: Ledger, shift: float, base: list[float], there: list[float], own: float, confirmed: list[float]
) -> tuple[Session, Experiment]:
    """Write trials of both pools: `there` and `own` were measured elsewhere, at a level that is shifted."""
    session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
    rows = [store.add_experiment(session.id, 0, verdict="keep", state="settled")]
    rows.append(store.add_experiment(session.id, 1, parent=0, state="measuring", mode="climb"))
    plan = [(0, "base", 2 + SIGMA * each, HERE) for each in base]
    plan += [(0, REFERENCE, shift + SIGMA * each, THERE) for each in there]
    plan += [(1, PRESCREEN, shift + SIGMA * own, THERE)]
    plan += [(1, "rerun" if k else "screen", 2 + SIGMA * each, HERE) for k, each in enumerate(confirmed)]
    for n, purpose, value, identity in plan:
        trial = store.start_trial(session.id, rows[n].id, purpose, 1, "")
        store.end_trial(trial.id, "ok", value, {"identity": identity})
    return session, rows[1]


def found(shift: float, *trials: Any) -> dict[str, Any]:
    """Return all that a session says of such trials."""
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as store:
        session, row = fill(store, shift, *trials)
        context = context_of(store, session)
        evidence = TwoPoolEvidence(context, 3, screening=Screening(context, POOL, 2))
        evidence.record_screening(row)
        verdict, events = verdict_columns(evidence, row), store.events(session.id, kind=SCREENED)
        numbers = [evidence.noise().sigma, *evidence.scores(evidence.incumbent())]
        numbers += [verdict[name] for name in ("p_gain", "delta") if verdict.get(name) is not None]
        numbers += [event.data[name] for event in events for name in ("gain", "p_gain")]
        return {"next": evidence.next_purpose(row), "verdict": verdict["verdict"], "numbers": numbers}


@settings(max_examples=12, deadline=None)
@given(scores, scores, one, st.lists(one, max_size=3), one)
def test_the_level_of_the_other_pool_changes_nothing(
    base: list[float], there: list[float], own: float, confirmed: list[float], shift: float
) -> None:
    first, other = (found(level, base, there, own, confirmed) for level in (2.0, 2.0 + shift))
    assert (first["next"], first["verdict"]) == (other["next"], other["verdict"])
    assert first["numbers"] == pytest.approx(other["numbers"], rel=1e-4, abs=1e-5, nan_ok=True)


@settings(max_examples=8, deadline=None)
@given(scores, scores, one, st.lists(one, min_size=1, max_size=3), scores)
def test_trials_elsewhere_do_not_touch_a_candidate_that_is_being_confirmed(
    base: list[float], there: list[float], own: float, confirmed: list[float], others: list[float]
) -> None:
    first, other = (found(1.0, base, each, own, confirmed) for each in (there, others))
    assert first == other


def test_a_dropped_candidate_tells_an_agent_what_to_expect_of_it(make: Make) -> None:
    session = make([("ALPHA", 1.5)])
    session.run()
    context = session.context
    (expected,) = dropped_gains(context.ledger, context.row).values()
    assert expected == pytest.approx(0.5, rel=0.9) and expected > 0
