"""Verdicts at equal speed: trials on cores that other programs slowed are no losses, slow screenings are repeated."""

import math
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.referees import FunctionReferee
from support.sessions import context_of, session_of

from autoresearch.agents import registry
from autoresearch.analysis import summary
from autoresearch.analysis.session_noise import raw_noise, session_noise
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.ledger.database import MIGRATIONS, connect
from autoresearch.measure.core_meter import OTHERS, SPEED
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.report import markdown, report
from autoresearch.session.evidence import Evidence
from autoresearch.session.verdicts import verdict_columns

USUAL, SLOPE, SIGMA = 35.0, -0.1, 0.001


class Night:
    """A session whose scores follow the speed of the cores; `base` has eight trials at changing speed."""

    def __init__(self, ledger: Ledger, judge: str = "default") -> None:
        self.ledger, self.rng = ledger, random.Random(0)
        self.session: Session = ledger.create_session("t", "b", "s", "sweep", judge, {}, {}, 0)
        self.base = ledger.add_experiment(self.session.id, 0, verdict="keep", state="settled")
        for share in (1.0, 0.9, 1.0, 0.85, 1.0, 0.95, 1.05, 0.9):
            self.trial(self.base, "base", share)
        self.evidence = Evidence(context_of(ledger, self.session), replicates=3)

    def candidate(self, n: int = 1) -> Experiment:
        return self.ledger.add_experiment(self.session.id, n, parent=0, state="measuring")

    def trial(self, row: Experiment, purpose: str, share: float | None, gain: float = 0.0) -> float:
        trial = self.ledger.start_trial(self.session.id, row.id, purpose, self.rng.randrange(10**6), "")
        score = 2.0 - gain + self.rng.gauss(0, SIGMA) + SLOPE * math.log(share or 1.0)
        conditions = {} if share is None else {SPEED: USUAL * share, OTHERS: 2.0}
        self.ledger.end_trial(trial.id, "ok", score, {"outcome": "ok", "val_bpb": score, "conditions": conditions})
        return score


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


def test_sigma_is_that_of_scores_at_equal_speed(ledger: Ledger) -> None:
    night = Night(ledger)
    sigma = night.evidence.noise().sigma
    assert sigma < 2 * SIGMA
    ledger.update_experiment(night.base.id, sigma=sigma)
    at_equal_speed, raw = session_noise(ledger, night.session), raw_noise(ledger, night.session)
    assert at_equal_speed is not None and raw is not None
    assert at_equal_speed[0] < 2 * SIGMA < raw[0]


def test_a_gain_on_slow_cores_is_kept_and_the_reason_says_why(ledger: Ledger) -> None:
    night = Night(ledger)
    row, scores = night.candidate(), []
    while (purpose := night.evidence.next_purpose(row)) is not None:
        subject = night.base if purpose == "sentinel" else row
        score = night.trial(subject, purpose, 0.8, gain=0.015 if subject is row else 0.0)
        scores += [score] if purpose == "rerun" else []
    verdict = verdict_columns(night.evidence, row)
    assert verdict["verdict"] == "keep"
    assert min(scores) > 2.0, "as measured, it lost"
    assert verdict["val_bpb"] == pytest.approx(sum(scores) / len(scores)), "the recorded score is the measured one"
    assert float(str(verdict["delta"])) < -0.01
    assert re.search(r"at equal speed \(the cores were [12]\d % slower\)$", str(verdict["reason"]))


def test_an_incumbent_that_speed_does_not_change_is_compared_as_measured(ledger: Ledger) -> None:
    """The base depends on speed; the kept version, a table of counts, does not, and neither do its candidates."""
    night = Night(ledger)
    kept = ledger.add_experiment(
        night.session.id, 1, parent=0, verdict="keep", state="settled", delta=-0.3, sigma=SIGMA
    )
    for share in (0.9, 1.0, 0.85, 1.0, 0.95, 0.9):
        night.trial(kept, "rerun", share, gain=0.3 + SLOPE * math.log(share))
    row = ledger.add_experiment(night.session.id, 2, parent=1, state="measuring")
    for purpose in ("screen", "rerun", "rerun"):
        night.trial(row, purpose, 1.2, gain=0.33 + SLOPE * math.log(1.2))
    verdict = verdict_columns(night.evidence, row)
    assert verdict["verdict"] == "keep" and float(str(verdict["delta"])) == pytest.approx(-0.03, abs=0.003)
    assert abs(night.evidence.speed_effect.slope) < abs(SLOPE) / 50


def test_the_greedy_rule_compares_the_numbers_as_they_are(ledger: Ledger) -> None:
    night = Night(ledger, "greedy")
    row = night.candidate()
    night.trial(row, "screen", 0.7, gain=0.015)
    assert night.evidence.next_purpose(row) is None
    assert verdict_columns(night.evidence, row)["verdict"] == "discard"


@pytest.mark.parametrize(
    ("share", "gain", "purpose"),
    [
        (0.7, -0.001, "rerun"),  # speed may matter a little more than is known
        (0.7, -0.5, None),  # it cannot matter that much
        (0.97, -0.0025, None),  # the cores were as fast as usual
        (None, -0.01, None),  # nobody knows
    ],
)
def test_a_screening_on_much_slower_cores_is_repeated_before_a_discard(
    ledger: Ledger, share: float | None, gain: float, purpose: str | None
) -> None:
    night = Night(ledger)
    row = night.candidate()
    night.trial(row, "screen", share, gain)
    assert night.evidence.next_purpose(row) == purpose
    if purpose:
        night.trial(row, purpose, 1.0, gain)
        assert night.evidence.next_purpose(row) is None, "once"
        assert verdict_columns(night.evidence, row)["verdict"] == "discard"


def test_a_session_tells_slow_cores_once_and_why_a_screening_is_repeated(
    repository: Path, bigram: str, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "script"
    folder.mkdir()
    for k in range(1, 4):
        (folder / f"0{k}-blunt.py").write_text(bigram.replace("SHARPNESS = 1.0", f"SHARPNESS = 0.{k}"))

    def measure(text: str, seed: int, *_: Any) -> Result:
        is_base = "SHARPNESS = 1.0" in text
        share = 1.0 if is_base else 0.7
        score = 2.0 + (not is_base) * 0.01 + (seed % 100) / 1e5
        return Result("ok", score, seed=seed, audit={"n": 1.0}, conditions={SPEED: 35 * share, OTHERS: 3.0})

    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = session_of(repository, store, registry.create(f"scripted:{folder}"), quick, bytes_data)
        session.referees = [FunctionReferee(measure, session.referees[0].settings)]
        session.run()
        events = store.events(session.context.id)
    drifts = [event.text for event in events if event.kind == "drift"]
    assert drifts[0] == "the cores are 30 % slower than for the base: 3.0 other threads could run"
    measured = [event.text for event in events if event.kind == "measured" and event.n == 1]
    assert all("the cores 30 % slower than for the base" in words for words in measured)
    assert next(event.n for event in events if event.kind == "repeated") == 1
    trials = [event.text for event in events if event.kind == "trial" and event.n == 1]
    assert trials[:2] == ["screen", "rerun"]


def test_a_ledger_without_speeds_is_migrated_and_judged_as_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connect(path, readonly=False, migrations=MIGRATIONS[:6]).close()
    with closing(sqlite3.connect(path)) as old:
        assert "speed" not in [column[1] for column in old.execute("PRAGMA table_info(trials)")]
    with Ledger.open(path) as ledger:
        night = Night(ledger)
        assert night.evidence.speed_effect.is_known
        assert all(trial.speed for trial in ledger.trials(night.session.id))


def test_the_report_says_what_slow_cores_cost(ledger: Ledger, tmp_path: Path) -> None:
    night = Night(ledger)
    found = summary.read(ledger, night.session, tmp_path, now=0.0)
    text = markdown.document(report.layout(found))
    assert re.search(r"10 % slower cost \+0\.01\d\d bits per byte; verdicts compare scores at equal speed", text)
