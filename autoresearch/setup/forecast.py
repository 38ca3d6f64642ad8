"""Forecast of a session: its experiments, and what a card trains, from earlier trials here or from a guess."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path

from autoresearch import hardware
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger
from autoresearch.ledger.rows import TRANSFER
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.setup import plan
from autoresearch.setup.plan import Card

AROUND_S = {"cpu": 8.0, "cuda": 30.0}  # guess for the part of a trial that is not training
RERUNS = 0.25  # guess for the re-runs of each experiment
MFU_PERCENT = 40.0  # guess: of the best public five-minute runs, from an RTX 3090 to an H100 (docs/training.md)
MIN_SAMPLES = 3  # trials, or experiments, whose mean replaces a guess

_PAST_TRIALS = f"""
    SELECT count(*) FILTER (WHERE budget = :budget) AS trained,
           avg(train_seconds) FILTER (WHERE budget = :budget) AS train,
           count(*) AS trials, avg(ended - began - train_seconds) AS around,
           sum(purpose IN ('rerun', 'sentinel')) AS reruns, sum(purpose = 'screen') AS screens
    FROM (
      SELECT t.started AS began, t.ended, t.train_seconds, t.purpose,
             json_extract(s.settings, '$.budget') AS budget
      FROM trials AS t JOIN sessions AS s ON s.id = t.session_id
      WHERE t.outcome = 'ok' AND t.ended IS NOT NULL AND json_extract(s.settings, '$.device') = :device
        AND t.purpose != '{TRANSFER}'
    )
"""

_LAST_TRIAL = f"""
    SELECT t.result FROM trials AS t JOIN sessions AS s ON s.id = t.session_id
    WHERE t.outcome = 'ok' AND json_extract(s.settings, '$.budget') = :budget
      AND json_extract(s.identity, '$.gpu') = :gpu AND t.purpose != '{TRANSFER}'
    ORDER BY t.id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Speed:
    """Tokens that a card trains in one budget, and the share of its peak that this takes, if it is known."""

    tokens: float
    mfu_percent: float | None
    measured: bool

    def __str__(self) -> str:
        basis = "in the last trial here" if self.measured else "a guess: `autoresearch plan` measures it"
        share = "" if self.mfu_percent is None else f", MFU {self.mfu_percent:.0f} %"
        return f"{self.tokens / 1e6:.0f}M tokens in a trial{share} ({basis})"


@dataclass(frozen=True)
class Forecast:
    """Number of experiments in a session of `hours`, and what it follows from."""

    hours: float
    train_seconds: float  # of a trial
    around_seconds: float  # of a trial, besides its training
    replicates: int  # of the base
    reruns: float  # for each experiment
    measured: bool  # the seconds around the training were measured on this machine
    slots: int = 1

    @property
    def trials_per_hour(self) -> float:
        """Return the rate of all slots, without pauses between trials."""
        return self.slots * 3600 / (self.train_seconds + self.around_seconds)

    @property
    def experiments(self) -> int:
        return max(0, int((self.hours * self.trials_per_hour - self.replicates) / (1 + self.reruns)))

    def __str__(self) -> str:
        where = f" on {self.slots} slots" if self.slots > 1 else ""
        basis = "as measured here" if self.measured else "a guess: no trials were measured here yet"
        return (
            f"expect about {self.experiments} experiments in {self.hours:g} h{where}:"
            f" {self.trials_per_hour:.1f} trials an hour ({self.train_seconds:.0f} s of training"
            f" and {self.around_seconds:.0f} s around it, {basis}),"
            f" minus {self.replicates} of the base and {100 * self.reruns:.0f} re-runs per 100 experiments"
        )

    def as_json(self) -> JsonObject:
        return {"experiments": self.experiments, "trials_per_hour": round(self.trials_per_hour, 2), **asdict(self)}


def expect(ledger: Path, budget: Budget, device: str, replicates: int, hours: float, slots: int = 1) -> Forecast | None:
    """Return the forecast for a budget; None if it is counted in steps, which have no known duration."""
    if not budget.seconds:
        return None
    past = _past_trials(ledger, budget, device)
    train = past["train"] if (past.get("trained") or 0) >= MIN_SAMPLES else budget.seconds
    measured = (past.get("trials") or 0) >= MIN_SAMPLES
    around = max(0.0, past["around"]) if measured else AROUND_S[device]
    reruns = past["reruns"] / past["screens"] if (past.get("screens") or 0) >= MIN_SAMPLES else RERUNS
    return Forecast(hours, train, around, replicates, reruns, measured, slots)


def expect_speed(ledger: Path, budget: Budget, gpu: str | None, card: Card) -> Speed | None:
    """Return what a card of this name trains in a budget; None if nothing is known of it."""
    peak = hardware.peak_tflops(gpu)
    last = _query(ledger, _LAST_TRIAL, budget=str(budget), gpu=gpu)
    if last and (tokens := facts.trained_tokens(result := json.loads(last["result"]))):
        return Speed(tokens, facts.mfu_percent(result, peak), measured=True)
    if peak is None or not budget.seconds:
        return None
    flop = peak * 1e12 * MFU_PERCENT / 100 * budget.seconds
    parameters = plan.shape_by_memory(card).matrix_parameters(card.vocab_size)
    return Speed(flop / (6 * plan.OVERHEAD * parameters), MFU_PERCENT, measured=False)


def _past_trials(path: Path, budget: Budget, device: str) -> JsonObject:
    return _query(path, _PAST_TRIALS, budget=str(budget), device=device)


def _query(path: Path, statement: str, **values: object) -> JsonObject:
    """Return the first row; nothing if there is none, or no ledger that can be read."""
    if not path.exists():
        return {}
    try:
        with Ledger.open(path, readonly=True) as store:
            return next(map(dict, store.query(statement, **values)), {})
    except (UserError, sqlite3.Error):  # another check of doctor reports it
        return {}
