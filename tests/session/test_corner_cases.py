"""Sessions in corners: branches beside keeps, runs that were cut off, failures after a near miss."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.referees import FunctionReferee
from support.sessions import context_of, session_of

from autoresearch.agents.base import Proposal
from autoresearch.agents.scripted import FixedAgent
from autoresearch.analysis import total
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.evidence import REOPENED, Evidence
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits
from autoresearch.session.verdicts import verdict_columns

BASE = (
    "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\nALPHA = 1.0\nBETA = 1.0\n"
)
TIME = {"metric": "seconds", "kind": "time"}
EXACT = {"metric": "moves", "kind": "exact"}


def begun(store: Ledger, judge: str = "default", **settings: Any) -> Session:
    return store.create_session("t", "b", "s", "sweep", judge, settings, {}, 0)


def trial(store: Ledger, row: Experiment, purpose: str, score: float | None, outcome: str = "ok") -> None:
    started = store.start_trial(row.session_id, row.id, purpose, 1, "")
    store.end_trial(started.id, outcome, score, {})


def kept(store: Ledger, session: Session, n: int, scores: list[float], **columns: Any) -> Experiment:
    row = store.add_experiment(
        session.id, n, **{"verdict": "keep", "state": "settled", "settled": float(n), "text": BASE, **columns}
    )
    for score in scores:
        trial(store, row, "rerun" if n else "base", score)
    return row


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as found:
        yield found


# --- evidence


def test_a_branch_with_a_lower_number_than_the_incumbent_is_superseded(store: Ledger) -> None:
    """A keep with a lower number than the incumbent would be no incumbent."""
    session = begun(store)
    kept(store, session, 0, [2.0, 2.001, 1.999])
    kept(store, session, 3, [1.9], parent=0)
    branch = store.add_experiment(session.id, 5, parent=0, mode="branch", state="measuring", text=BASE)
    evidence = Evidence(context_of(store, session), replicates=3)
    assert not evidence.is_superseded(branch) and evidence.next_purpose(branch) == "screen"
    kept(store, session, 6, [1.8], parent=3)
    assert evidence.is_superseded(branch) and evidence.next_purpose(branch) is None
    later = store.add_experiment(session.id, 7, parent=0, mode="branch", state="measuring", text=BASE)
    assert not evidence.is_superseded(later)


def test_a_time_is_decided_although_the_incumbent_cannot_be_measured_any_more(store: Ledger) -> None:
    session = begun(store, **TIME)
    base = kept(store, session, 0, [2.0, 2.008, 1.992])
    better = store.add_experiment(session.id, 1, parent=0, mode="improve", state="measuring", text=BASE)
    evidence, purposes = Evidence(context_of(store, session), replicates=3), list[str]()
    while (purpose := evidence.next_purpose(better)) is not None and len(purposes) < 20:
        purposes.append(purpose)
        if purpose == "sentinel":
            trial(store, base, purpose, None, "timeout")
        else:
            trial(store, better, purpose, 1.972 if purpose == "screen" else 1.98)
    assert len(purposes) < 12, purposes


def test_a_near_miss_of_a_version_that_fell_is_none(store: Ledger) -> None:
    session = begun(store)
    kept(store, session, 0, [2.0, 2.02, 1.98, 2.01, 1.99])
    fallen = kept(store, session, 1, [1.9, 1.92, 1.88], parent=0)
    row = store.add_experiment(session.id, 2, parent=1, mode="improve", state="measuring", text=BASE)
    for score in (1.86, 1.88, 1.89):
        trial(store, row, "screen" if score == 1.86 else "rerun", score)
    evidence = Evidence(context_of(store, session), replicates=3)
    assert (before := verdict_columns(evidence, row))["near_miss"], before
    store.demote(session.id, {1: "found later: it lies"}, (), "the incumbent is the base")
    assert fallen.n == 1 and not verdict_columns(evidence, row).get("near_miss")


def test_less_code_is_judged_where_an_exact_number_is_kept_greedily(store: Ledger) -> None:
    session = begun(store, "greedy", **EXACT)
    kept(store, session, 0, [20.0])
    better = store.add_experiment(session.id, 1, parent=0, mode="improve", state="measuring", text=BASE)
    trial(store, better, "screen", 10.0)
    evidence = Evidence(context_of(store, session), replicates=1)
    columns = verdict_columns(evidence, better)
    assert columns["verdict"] == "keep" and "sigma" not in columns["reason"]
    store.update_experiment(better.id, state="settled", settled=1.0, **columns)
    revert = store.add_experiment(session.id, 2, parent=1, mode="revert", state="measuring", text=BASE)
    trial(store, revert, "screen", 10.0)
    assert evidence.next_purpose(revert) in (None, "rerun", "sentinel")


def test_a_decision_asks_the_ledger_as_often_after_many_keeps(store: Ledger) -> None:
    session, statements = begun(store), list[str]()
    kept(store, session, 0, [2.0, 2.01, 1.99])

    def count(keeps: range) -> int:
        for n in keeps:
            kept(store, session, n, [2.0 - n / 10], parent=n - 1)
        row = store.add_experiment(session.id, keeps.stop, parent=keeps.stop - 1, state="measuring", text=BASE)
        trial(store, row, "screen", 2.0 - keeps.stop / 10)
        evidence = Evidence(context_of(store, session), replicates=3)
        store.connection.set_trace_callback(statements.append)
        statements.clear()
        evidence.decide(row)
        store.connection.set_trace_callback(None)
        found = [each for each in statements if "verdict = 'discard'" in each]
        store.update_experiment(row.id, verdict="discard", state="settled")
        return len(found)

    assert count(range(1, 4)) == count(range(5, 25))


def test_the_running_minimum_leaves_out_what_was_a_lie(store: Ledger) -> None:
    session = begun(store)
    kept(store, session, 0, [2.0, 2.01])
    liar = store.add_experiment(session.id, 1, parent=0, verdict="suspect", state="settled", text=BASE)
    trial(store, liar, "screen", 0.5)
    trial(store, liar, "rerun", None, "suspect")
    kept(store, session, 2, [1.9], parent=0)
    assert total.running_minimum(store, session) == pytest.approx(-0.1)


def test_a_look_at_the_clock_reads_few_events(store: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    session = begun(store)
    kept(store, session, 0, [2.0, 2.01])
    kept(store, session, 1, [1.9], parent=0)
    asked, events = list[object](), Ledger.events
    monkeypatch.setattr(Ledger, "events", lambda self, *a, **k: asked.append(k.get("kind")) or events(self, *a, **k))
    total.pairs_at_end(store, session, 3, 100.0, 50.0)
    assert asked and None not in asked


# --- the loop

Make = Callable[..., SessionLoop]


@pytest.fixture
def make(repository: Path, quick: Settings, bytes_data: Dataset) -> Iterator[Make]:
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def session(agent: FixedAgent, score: Callable[[str, int, int], float | None], **options: Any) -> SessionLoop:
            def measure(text: str, seed: int, plan: TrialPlan) -> Result:
                found = score(text, seed, len(store.trials(1)))
                if found is None:
                    return Result("suspect", reason="it lies", seed=seed, total_seconds=0.1)
                rows = np.array([[1.0, 2.0]])
                return Result("ok", found, seed=seed, audit={"n": 1.0}, rows=rows, holdout_bpb=found, total_seconds=0.1)

            known = {"base": BASE, "referees": [FunctionReferee(measure, quick)], "replicates": 3}
            return session_of(repository, store, agent, quick, bytes_data, **known | options)

        yield session


def alpha(text: str, seed: int, trials: int) -> float:
    """Score ALPHA, with a noise by the seed."""
    return float(re.findall(r"^ALPHA = ([\d.]+)", text, re.M)[0]) + seed % 97 / 1e5


def proposal(name: str, value: float, text: str = BASE) -> FixedAgent:
    changed = re.sub(rf"^{name} = .*", f"{name} = {value}", text, flags=re.M)
    return FixedAgent("fixed", Proposal(changed, f"{name} is {value}"))


def test_what_was_decided_is_kept_before_others_are_measured(make: Make) -> None:
    """Two slots: 2 was decided when the session was killed, and 1, of the same incumbent, was being measured."""
    first = make(proposal("BETA", 2.0), lambda *a: alpha(*a) - 0.2 * ("BETA = 2.0" in a[0]), limits=Limits())
    store, loop = first.context.ledger, first
    loop.run()  # 1 is kept
    session = first.context.id
    assert store.experiment(session, 1).verdict == "keep"  # type: ignore[union-attr]
    second = make(proposal("ALPHA", 0.5), alpha, limits=Limits(max_experiments=9))
    one = store.add_experiment(session, 2, parent=1, mode="improve", text=BASE.replace("ALPHA = 1.0", "ALPHA = 0.9"))
    two = store.add_experiment(session, 3, parent=1, mode="improve", text=BASE.replace("BETA = 1.0", "BETA = 3.0"))
    for row in (one, two):
        second._commit(store.experiment(session, row.n))  # type: ignore[arg-type]
    store.update_experiment(
        two.id, state="decided", verdict="keep", reason="better", val_bpb=0.7, delta=-0.1, sigma=0.01
    )
    second.run()
    found = {row.n: (row.verdict, row.state) for row in store.experiments(session)}
    assert found[3] == ("keep", "settled"), found
    assert found[2][0] == "discard" and "superseded" in (store.experiment(session, 2).reason or "")  # type: ignore[union-attr]


def test_a_fixed_proposal_leaves_unfinished_experiments_alone(make: Make) -> None:
    first = make(proposal("ALPHA", 0.5), alpha)
    first.run()
    store, session = first.context.ledger, first.context.id
    waiting = store.add_experiment(
        session, 2, parent=1, mode="improve", text=BASE.replace("BETA = 1.0", "BETA = 4.0"), hypothesis="waits"
    )
    again = make(proposal("ALPHA", 0.2), alpha, limits=Limits(max_experiments=2), first=3)
    again.run()
    rows = {row.n: row for row in store.experiments(session)}
    assert rows[2].state == waiting.state == "proposed" and rows[3].verdict == "keep", rows
    last = make(FixedAgent("fixed", Proposal(BASE.replace("ALPHA = 1.0", "ALPHA = 0.1"), "more")), alpha)
    last.run()
    assert all(row.state == "settled" for row in store.experiments(session))


def test_a_reopened_near_miss_that_fails_has_no_score(make: Make) -> None:
    first = make(proposal("ALPHA", 1.1), alpha)
    first.run()
    store, session = first.context.ledger, first.context.id
    row = store.experiment(session, 1)
    assert row is not None and row.verdict == "discard"
    store.update_experiment(row.id, near_miss=True, p_gain=0.5, verdict=None, reason=None, state="measuring")
    store.event(session, REOPENED, "likelier", 1)
    trials = len(store.trials(session))
    store.start_trial(session, row.id, "rerun", 5, row.blob or "")
    store.end_trial(store.trials(session)[-1].id, "suspect", None, {"outcome": "suspect", "reason": "it lies"})
    assert len(store.trials(session)) == trials + 1
    make(proposal("ALPHA", 0.5), alpha).run()
    found = store.experiment(session, 1)
    assert found is not None and found.verdict == "suspect"
    assert (found.val_bpb, found.p_gain, found.near_miss) == (None, None, False)
