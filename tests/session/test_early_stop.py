"""Early stop: screenings that have lost by their curve end early, as discards without a score."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from support.referees import FunctionReferee
from support.repositories import BIGRAM, make_repository
from support.sessions import session_of

from autoresearch import judge
from autoresearch.agents.base import Exhausted, Proposal
from autoresearch.agents.sweep.sweep_agent import observations
from autoresearch.analysis import consistency, summary
from autoresearch.brief.brief import Brief
from autoresearch.brief.history import describe_verdict
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger, results_tsv, status
from autoresearch.ledger.breakdown import sum_groups
from autoresearch.ledger.early_stops import early_stops
from autoresearch.ledger.queries import experiment_rows
from autoresearch.ledger.scores import effects
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.report import chart, markdown, report
from autoresearch.session.early_stop import CurveWatch, read_curve
from autoresearch.session.loop import SessionLoop
from autoresearch.source.curve_changes import may_change_schedule, may_log_another_loss

BASE = "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\nALPHA = 1.0\n"
LOSERS = ["1.07", "1.09", "1.11", "1.13", "1.15", "1.17", "1.19"]
STEPS = 60
BUDGET = Budget.parse("10s")
SETTINGS = Settings(BUDGET)
Open = Callable[..., SessionLoop]


class Proposes:
    """Gives ALPHA one value after the other."""

    name, model, repairs = "proposes", None, 0
    proposes: Literal["instantly"] = "instantly"

    def __init__(self, *values: str) -> None:
        self.values = list(values)
        self.briefs: list[Brief] = []

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        self.briefs.append(brief)
        if not self.values:
            raise Exhausted("agent exhausted")
        value = self.values.pop(0)
        return Proposal(re.sub("ALPHA = .*", f"ALPHA = {value}", brief.source), f"{value} is best", "optimiser")


def curve_of(level: float, seed: int) -> list[dict[str, float]]:
    """Return a curve that falls to about twice `level`, with the scatter of the seed's rows."""
    rows = np.random.default_rng(seed).normal(0.0, 0.3, STEPS)
    losses = [2 * level + 3 / (k + 5) + float(rows[k]) for k in range(STEPS)]
    return [{"step": k + 1.0, "seconds": 10 * (k + 1) / STEPS, "loss": losses[k]} for k in range(STEPS)]


def train(text: str, seed: int, plan: TrialPlan, shows: Callable[[float], float] = lambda score: score) -> Result:
    """Train as the referee does: the plan is asked after each step."""
    alpha = float(re.findall(r"^ALPHA = ([\d.]+)", text, re.M)[-1])
    score = alpha + 0.004 * float(np.random.default_rng([seed, len(text)]).normal())
    result = Result("ok", score, seed=seed, audit={"n": 1.0}, rows=np.array([[1.0, 2.0]]), total_seconds=0.1)
    result.holdout_bpb, points = score, curve_of(shows(score), seed)
    for k in range(STEPS):
        result.curve = points[: k + 1]
        if result.behind is None and (found := plan.find_behind((k + 1) / STEPS, result.curve)) is not None:
            result.behind = {"progress": found.progress, "delta": found.delta, "odds": found.odds}
            if not plan.runs_on:
                return Result("stopped", None, found.reason, seed, behind=result.behind, curve=result.curve)
    return result


@contextmanager
def opened(folder: Path, data: Dataset, agent: Proposes, measure: Any = train, **options: Any) -> Iterator[SessionLoop]:
    """Open a session whose records have to be consistent at its end."""
    root = make_repository(folder / "repository", BIGRAM)
    with Ledger.open(root / "runs" / "ledger.db") as store:
        known = {"base": BASE, "referees": [FunctionReferee(measure, SETTINGS)], "replicates": 3}
        yield session_of(root, store, agent, SETTINGS, data, **known | options)
    assert consistency.check(root) == []


@pytest.fixture
def run(tmp_path: Path, bytes_data: Dataset) -> Iterator[Open]:
    """Return a function that runs a session of an agent."""
    with ExitStack() as stack:

        def start(agent: Proposes, measure: Any = train, **options: Any) -> SessionLoop:
            session = stack.enter_context(opened(tmp_path, bytes_data, agent, measure, **options))
            assert session.run() == "agent exhausted"
            return session

        yield start


def of(session: SessionLoop, n: int) -> Experiment:
    return session.context.experiment(n)


@pytest.fixture(scope="module")
def agent() -> Proposes:
    return Proposes(*LOSERS)


@pytest.fixture(scope="module")
def session(agent: Proposes, tmp_path_factory: pytest.TempPathFactory, bytes_data: Dataset) -> Iterator[SessionLoop]:
    """A session of seven losers, which has ended."""
    with opened(tmp_path_factory.mktemp("losers"), bytes_data, agent) as session:
        assert session.run() == "agent exhausted"
        yield session


def stopped_rows(session: SessionLoop) -> list[Experiment]:
    return [row for row in session.context.ledger.experiments(session.context.id) if row.stopped]


def test_a_clear_loser_is_stopped_and_is_a_discard_without_a_score(session: SessionLoop) -> None:
    assert len(stopped_rows(session)) >= 2
    row = stopped_rows(session)[-1]
    assert (row.verdict, row.val_bpb, row.delta, row.near_miss) == ("discard", None, None, False)
    assert re.fullmatch(r"behind at \d\d % of the budget \(\+0\.\d{4} forecast, odds .*%\)", row.reason or "")
    trial = session.evidence.trials(row)[-1]
    assert (trial.outcome, trial.val_bpb, trial.purpose) == ("stopped", None, "screen")
    assert 0.2 <= trial.result["behind"]["progress"] <= 0.75
    assert trial.result["behind"]["delta"] == pytest.approx(float(LOSERS[row.n - 1]) - 1, rel=0.5)


def test_what_is_stopped_counts_as_tried(session: SessionLoop) -> None:
    context = session.context
    store, row = context.ledger, context.row
    stopped, shown = stopped_rows(session)[0], status(store, row, 0.0)
    assert shown.unmeasured == 0 and shown.verdicts == {"discard": len(LOSERS)}
    rows = experiment_rows(store, row)
    assert sum_groups(rows, [], "category")[0].scored == len(LOSERS)
    assert chart.kind_of(next(each for each in rows if each.n == stopped.n)) == "dot"
    cells = results_tsv(store, row).splitlines()[1 + stopped.n].split("\t")
    assert (cells[1], cells[3]) == ("nan", "discard")
    assert f"[t#{stopped.n}, 1 trial]" in session.lessons.path.read_text()
    assert len(effects(store, row.id)) == len(LOSERS)
    assert judge.learn(effects(store, row.id)).share < judge.Beliefs().share  # it was no gain


def test_the_report_says_what_was_saved(session: SessionLoop) -> None:
    context = session.context
    page = markdown.document(report.layout(summary.read(context.ledger, context.row, context.runs, 0.0)))
    assert f"{len(stopped_rows(session))} screenings ended early, clearly behind" in page
    assert "1 screening that was behind ran on as a check: none of them earned a re-run" in page


def test_an_agent_reads_why_it_was_stopped(session: SessionLoop, agent: Proposes) -> None:
    row = stopped_rows(session)[0]
    past = next(past for past in agent.briefs[-1].history if past.n == row.n)
    assert past.stopped and not past.unmeasured and describe_verdict(past) == f"discard: {row.reason}"
    moved = replace(past, params={"ALPHA": {"kind": "float", "from": 1.0, "to": 2.0}})
    assert moved.forecast and [each.delta for each in observations([moved], past.agent)] == [past.forecast]


def test_the_first_of_ten_runs_on_and_shows_whether_the_rule_is_right(session: SessionLoop) -> None:
    events = session.context.ledger.events(session.context.id, kind="behind")
    assert [event.data["ran_on"] for event in events] == [True] + [False] * (len(events) - 1)
    checked = of(session, events[0].n or 0)
    assert checked.val_bpb is not None and session.evidence.trials(checked)[-1].result["behind"]["odds"] < 0.02
    found = early_stops(session.context.ledger, session.context.row)
    assert (found.stopped, found.checks, found.wrong) == (len(events) - 1, 1, 0)


def test_a_screening_has_the_rows_of_a_trial_of_the_incumbent(run: Open) -> None:
    session = run(Proposes("1.05", "0.9", "0.95"))
    evidence = session.evidence
    for n, rival in ((1, 0), (2, 0), (3, 2)):
        fresh = [trial.seed for trial in evidence.trials(of(session, rival)) if trial.purpose != "screen"]
        assert evidence.trials(of(session, n))[0].seed in fresh
    assert of(session, 2).verdict == "keep"
    seeds = [trial.seed for trial in evidence.trials(of(session, 2))]
    base = [trial.seed for trial in evidence.trials(of(session, 0)) if trial.purpose == "base"]
    assert len(set(seeds)) == len(seeds) >= 2 and not set(seeds[1:]) & set(base)


@pytest.mark.slow
def test_a_gain_among_losers_is_kept(run: Open) -> None:
    session = run(Proposes(*LOSERS[:5], "0.95"))
    assert of(session, 6).verdict == "keep"
    row, seed = of(session, 5), session.evidence.trials(of(session, 0))[0].seed
    watch = session.trials.early_stop.watch
    assert watch(row, seed) is not None
    assert watch(replace(row, mode="revert"), seed) is None  # a kept change is taken out: it may be a little worse
    assert watch(replace(row, text=f"{row.text}LOSS = 1\n"), seed) is None  # what it logs may mean something else
    late = watch(replace(row, text=f"{row.text}WARMDOWN = 0.5\n"), seed)
    assert late is not None and not late.forecast.is_known(0)  # it may pay late: only schedules tell what it does


def test_without_the_setting_nothing_is_stopped(run: Open) -> None:
    session = run(Proposes(*LOSERS[:6]), early_stop=False)
    assert stopped_rows(session) == [] and session.context.ledger.events(1, kind="behind") == []


@pytest.mark.slow
def test_a_curve_that_says_nothing_on_the_score_stops_nothing(run: Open) -> None:
    """Whole trials show that curve and score part: then a bad curve is no evidence."""

    def mislead(text: str, seed: int, plan: TrialPlan) -> Result:
        return train(text, seed, plan, lambda score: float(np.random.default_rng([seed, len(text)]).normal(1, 0.05)))

    session = run(Proposes(*(f"{1.02 * 1.012**k:.4f}" for k in range(10))), mislead)
    assert len(stopped_rows(session)) <= 1


def test_an_error_in_the_forecast_is_not_the_crash_of_a_version(run: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in the arithmetic")

    monkeypatch.setattr("autoresearch.session.early_stop.read_curve", fail)
    session = run(Proposes("1.05"))
    assert of(session, 1).verdict == "discard" and of(session, 1).val_bpb is not None
    (event,) = session.context.ledger.events(1, kind="failed")
    assert event.text.startswith("no more early stops: ")


def test_never_before_a_fifth_of_the_budget() -> None:
    incumbent, candidate = (read_curve(curve_of(level, 1), BUDGET) for level in (1.0, 1.1))
    gaps = tuple(judge.curve_gap(candidate, incumbent, at) for at in judge.LOOKS)
    forecast = judge.CurveForecast([judge.Example(gaps, 0.1)] * 9, 0.01)
    watch = CurveWatch(forecast, incumbent, 1.0, 1.0, 1.0, 0.02, BUDGET)
    points = curve_of(1.1, 1)
    assert [watch.find_behind(k / STEPS, points[:k]) for k in range(1, 12)] == [None] * 11
    found = watch.find_behind(0.2, points[:12])
    assert found is not None and found.progress == 0.2


def test_changes_that_make_a_curve_misleading_are_found() -> None:
    before = "loss = f(x)  # the loss\ny = 1\n"
    assert may_log_another_loss(before, before.replace("f(x)", "f(x) + aux"))
    assert may_log_another_loss(before, f"{before}DROPOUT = 0.1\n")
    assert may_change_schedule(before, f"{before}scale = 1 - progress\n")
    assert not may_log_another_loss(
        before, before.replace("the loss", "another word for loss").replace("y = 1", "y = 2")
    )
