"""An unexpected error in any step of a version is its crash; the session goes on, and never meets it again."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.referees import FunctionReferee
from support.repositories import git
from support.sessions import session_of

from autoresearch.agents.base import Exhausted, InstantAgent, Proposal
from autoresearch.analysis import consistency
from autoresearch.analysis.experiment_details import read_experiment
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError, require
from autoresearch.ledger import Experiment, Ledger
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.report import experiment
from autoresearch.session.constraints import Constraints
from autoresearch.session.events import LedgerEvent, SessionEvent
from autoresearch.session.loop import SessionLoop
from autoresearch.workspace.workspace import Workspace

pytestmark = pytest.mark.slow  # two dozen sessions

GOOD, BAD, LAST = "SMOOTHING = 0.02 ", "SMOOTHING = 0.9 ", "SMOOTHING = 0.8 "
SCORES = {GOOD: 1.0, BAD: 1.2, LAST: 1.3}  # the base has 1.1


class Edits(InstantAgent):
    """Propose some values of a constant, one after the other."""

    name = "edits"

    def __init__(self, base: str, *values: str) -> None:
        self.texts = [base.replace("SMOOTHING = 0.5 ", value) for value in values]

    def propose(self, brief: Any) -> Proposal:
        if brief.n > len(self.texts):
            raise Exhausted("agent exhausted")
        return Proposal(self.texts[brief.n - 1], f"try {brief.n}")


def score(text: str, seed: int, plan: TrialPlan) -> Result:
    value = next((value for name, value in SCORES.items() if name in text), 1.1)
    return Result("ok", value + seed % 7 * 1e-5, seed=seed, setup_seconds=1.0, train_seconds=1.0, score_seconds=1.0)


class Bench:
    """A repository with a session whose trials are a function."""

    def __init__(self, repository: Path, store: Ledger, settings: Settings, data: Dataset, base: str) -> None:
        self.repository, self.store, self.settings, self.data, self.base = repository, store, settings, data, base

    def session(self, *values: str, measure: Callable[..., Result] = score, **options: Any) -> SessionLoop:
        agent = options.pop("agent", None) or Edits(self.base, *values)
        referees = [FunctionReferee(measure, self.settings)]
        return session_of(self.repository, self.store, agent, self.settings, self.data, referees=referees, **options)

    def run(self, *values: str, **options: Any) -> list[Experiment]:
        self.session(*values, **options).run()
        return self.rows()

    def rows(self) -> list[Experiment]:
        return self.store.experiments(1)

    def failures(self, n: int) -> list[str]:
        return [event.text for event in self.store.events(1, kind="failed") if event.n == n]

    def show(self, n: int) -> str:
        """Lay out an experiment as `show` and its JSON do."""
        session = require(self.store.session("t"))
        details = read_experiment(self.store, session, self.repository / "runs", require(self.store.experiment(1, n)))
        return json.dumps(details.as_json(), allow_nan=False) + str(list(experiment.layout(details)))


@pytest.fixture
def bench(repository: Path, quick: Settings, bytes_data: Dataset, bigram: str) -> Any:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        yield Bench(repository, store, quick, bytes_data, bigram)


def fails_for(value: str, error: Exception) -> Callable[..., Result]:
    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if value in text:
            raise error
        return score(text, seed, plan)

    return measure


def test_an_error_in_a_trial_is_a_crash_with_its_traceback(bench: Bench) -> None:
    rows = bench.run(BAD, GOOD, measure=fails_for(BAD, OverflowError("cannot convert float infinity to integer")))
    assert [row.verdict for row in rows] == ["keep", "crash", "keep"]
    assert bench.failures(1) == ["the program failed on it: OverflowError in measure()"]
    assert "float infinity" not in require(rows[1].reason)  # it may quote what only the referee knows
    assert "cannot convert float infinity" in (bench.repository / "runs/t/1/trial-0.log").read_text()
    assert "crash" in bench.show(1)


HOSTILE_RESULTS = {
    "a number that JSON cannot hold": {"parameters": 9**9999},
    "a number that SQLite cannot hold": {"peak_vram_mb": 10**400},
    "half a surrogate": {"reason": "\udcff", "outcome": "crash", "val_bpb": None, "log": "\udcff"},
    "text for a number": {"score_seconds": "x", "total_seconds": "x"},
}


@pytest.mark.parametrize("fields", HOSTILE_RESULTS.values(), ids=HOSTILE_RESULTS.keys())
def test_a_result_that_cannot_be_recorded_is_a_crash(bench: Bench, fields: dict[str, Any]) -> None:
    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        return replace(score(text, seed, plan), **fields) if BAD in text else score(text, seed, plan)

    rows = bench.run(BAD, GOOD, measure=measure)
    assert [row.verdict for row in rows] == ["keep", "crash", "keep"]
    assert all(trial.outcome for trial in bench.store.trials(1))
    bench.show(1)


def test_an_error_on_the_base_ends_the_session_with_one_line(bench: Bench) -> None:
    for _ in range(2):  # also of the session that goes on
        with pytest.raises(UserError, match=r"the base train.py fails \(crash: .*ValueError.*mend and commit"):
            bench.run(GOOD, measure=fails_for("SMOOTHING = 0.5 ", ValueError("no")))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (None, r"fails \(oom: .*with another tag if one is set"),
        (2.0, "uses 3.0 GB of GPU memory, over the limit of 2"),
    ],
    ids=["another program had the card", "the limit was raised"],
)
def test_a_base_that_failed_is_measured_again(limit: float | None, words: str, bench: Bench) -> None:
    def works(text: str, seed: int, plan: TrialPlan) -> Result:
        return replace(score(text, seed, plan), peak_vram_mb=3 * 1024.0)

    def fails(text: str, seed: int, plan: TrialPlan) -> Result:
        return works(text, seed, plan) if limit else Result("oom", reason="CUDA out of memory", seed=seed)

    with pytest.raises(UserError, match=words):
        bench.run(GOOD, measure=fails, constraints=Constraints(max_gpu_gb=limit))
    assert [row.state for row in bench.rows()] == ["measured"]
    rows = bench.run(GOOD, measure=works, constraints=Constraints(max_gpu_gb=4.0))
    assert [row.verdict for row in rows] == ["keep", "keep"]
    outcomes = [trial.outcome for trial in bench.store.trials(1, rows[0].id) if trial.purpose == "base"]
    assert outcomes == (["ok", "ok"] if limit else ["infra", "ok", "ok"])


def test_a_base_whose_audit_failed_is_not_tried_again(bench: Bench) -> None:
    def lies(text: str, seed: int, plan: TrialPlan) -> Result:
        return Result("suspect", reason="its claim is wrong", seed=seed)

    for measure in (lies, score):
        with pytest.raises(UserError, match=r"fails \(suspect: its claim is wrong\)"):
            bench.run(GOOD, measure=measure)
    assert len(bench.store.trials(1)) == 1


class FailingWorkspace(Workspace):
    """Git that fails at one experiment, in one step, with an error that nobody expects."""

    at = ("commit", 1)

    def commit(self, tag: str, n: int, text: str, parent: str, message: str) -> str:
        if self.at == ("commit", n):
            raise RuntimeError("no")
        return super().commit(tag, n, text, parent, message)

    def keep(self, tag: str, n: int, sha: str, message: str, replaces: str | None = None) -> str:
        if self.at == ("before keep", n):
            raise RuntimeError("no")
        kept = super().keep(tag, n, sha, message, replaces)
        if self.at == ("after keep", n):
            raise RuntimeError("no")
        return kept


@pytest.mark.parametrize(("step", "verdict"), [("commit", "crash"), ("before keep", "crash"), ("after keep", "keep")])
def test_an_error_around_git_leaves_a_consistent_session(bench: Bench, step: str, verdict: str) -> None:
    workspace = FailingWorkspace(bench.repository)
    workspace.at = (step, 1)
    rows = bench.run(GOOD, BAD, workspace=workspace)
    assert [row.verdict for row in rows] == ["keep", verdict, "discard"]
    assert all(row.state == "settled" for row in rows)
    assert bench.failures(1) and "RuntimeError: no" in (bench.repository / "runs/t/1/failure.log").read_text()
    incumbent = rows[1 if verdict == "keep" else 0]
    assert workspace.best("t") == incumbent.sha == workspace.refs("t")[incumbent.n]
    assert rows[2].parent == incumbent.n
    bench.show(1)
    found = [each.text for each in consistency.check(bench.repository)]
    assert [text for text in found if "audited" not in text and ".npz" not in text] == []  # the trials are made up
    assert bench.run(GOOD, BAD, LAST)[3].verdict == "discard"  # the session goes on with real git


def test_a_result_that_cannot_be_judged_is_a_crash_also_when_it_is_resumed(bench: Bench) -> None:
    """A session was killed after a trial whose record in the ledger is damaged."""
    bench.run(BAD)
    with closing(sqlite3.connect(bench.store.path)) as ledger, ledger:
        broken = "UPDATE trials SET result = json_set(result, '$.peak_vram_mb', 'x') WHERE experiment_id = 2"
        ledger.execute(broken)
        ledger.execute("UPDATE experiments SET state = 'measured', verdict = NULL WHERE n = 1")
    rows = bench.run(BAD, LAST, constraints=Constraints(max_gpu_gb=1.0))
    assert [row.verdict for row in rows] == ["keep", "crash", "discard"]
    assert rows[1].state == "settled" and rows[1].val_bpb is None
    bench.show(1)


def test_a_file_of_lessons_in_another_encoding_costs_no_verdict(bench: Bench) -> None:
    bench.run()
    bench.session().lessons.path.write_bytes("- größer\n".encode("latin-1"))
    assert [row.verdict for row in bench.run(GOOD)] == ["keep", "keep"]


def test_a_display_that_fails_costs_no_verdict(bench: Bench) -> None:
    def display(event: SessionEvent) -> None:
        if isinstance(event, LedgerEvent) and event.n == 1:
            raise TypeError("no")

    bench.run(GOOD, listeners=[display])
    assert [row.verdict for row in bench.rows()] == ["keep", "keep"]
    assert [event.text for event in bench.store.events(1, kind="failed")]


class BrokenAgent(Edits):
    """An agent whose code fails on its first answer."""

    failed = False

    def propose(self, brief: Any) -> Proposal:
        if not self.failed:
            self.failed = True
            raise RecursionError("maximum recursion depth exceeded")
        return super().propose(brief)


def test_an_error_of_an_agent_is_a_broken_proposal(bench: Bench) -> None:
    rows = bench.run(agent=BrokenAgent(bench.base, GOOD))
    assert [row.verdict for row in rows] == ["keep", "keep"]
    assert [event.text for event in bench.store.events(1, kind="broken")] == [
        "edits: the program failed on it: RecursionError in propose()"
    ]
    assert "maximum recursion depth" in (bench.repository / "runs/t/1/trace.jsonl").read_text()


DEEP = {
    "an attribute chain": "X = a" + ".b" * 990,
    "a product": "BIG = 10**64 * " + "10**64 * " * 900 + "1",
    "a sum": "X = 1" + " + 1" * 3000,
    "an elif chain": "if 0: pass\n" + "elif 0: pass\n" * 900,
    "negations": "X = " + "-" * 900 + "1",
    "calls": "X = f" + "()" * 900,
    "brackets": "X = " + "[" * 90 + "]" * 90,
    "long": "X = 1\n" * 60_000,
}


@pytest.mark.parametrize("line", DEEP.values(), ids=DEEP.keys())
def test_a_deep_program_is_refused_and_the_session_goes_on(bench: Bench, line: str) -> None:
    agent = Edits(bench.base, BAD, GOOD)
    agent.texts[0] += line + "\n"
    rows = bench.run(agent=agent)
    assert [row.verdict for row in rows] in (["keep", "invalid", "keep"], ["keep", "discard", "keep"])
    assert bench.failures(1) == []
    bench.show(1)


def test_user_errors_and_machine_errors_still_end_the_session(bench: Bench) -> None:
    for error in (UserError("no room"), OSError(28, "No space left on device"), MemoryError()):
        with pytest.raises(type(error)):
            bench.run(BAD, measure=fails_for(BAD, error))
    assert bench.rows()[1].state == "measuring"
    assert bench.run(BAD)[1].verdict == "discard"


def test_the_branch_of_a_crash_is_not_moved(bench: Bench) -> None:
    bench.run(BAD, measure=fails_for(BAD, ValueError("no")))
    assert git(bench.repository, "rev-parse", "autoresearch/t").strip() == bench.rows()[0].sha
