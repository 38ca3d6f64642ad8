"""How many experiments a night gives, from what trials took on this machine, or from a guess before there were any."""

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autoresearch.errors import UserError
from autoresearch.ledger import Ledger
from autoresearch.measure.clock import Budget

AROUND = {"cpu": 8.0, "cuda": 30.0}  # s of a trial that are not training, until they are known here
RERUNS = 0.25  # re-runs for each experiment, until they are known here
ENOUGH = 3  # trials, or experiments, from which a mean is believed

_EXPERIENCE = """
    SELECT count(*) FILTER (WHERE budget = :budget) AS trained,
           avg(train_seconds) FILTER (WHERE budget = :budget) AS train,
           count(*) AS trials, avg(ended - began - train_seconds) AS around,
           sum(purpose IN ('rerun', 'sentinel')) AS reruns, sum(purpose = 'screen') AS screens
    FROM (
      SELECT t.started AS began, t.ended, t.train_seconds, t.purpose,
             json_extract(s.settings, '$.budget') AS budget
      FROM trials AS t JOIN sessions AS s ON s.id = t.session_id
      WHERE t.outcome = 'ok' AND t.ended IS NOT NULL AND json_extract(s.settings, '$.device') = :device
    )
"""


@dataclass(frozen=True)
class Forecast:
    """What `hours` are spent on: seconds of training and around it in each trial, replicates of the base, re-runs.

    `measured` says whether the seconds around a trial are this machine's own.
    """

    hours: float
    train_seconds: float
    around_seconds: float
    replicates: int
    reruns: float
    measured: bool

    @property
    def trials_per_hour(self) -> float:
        """Without any pause between them."""
        return 3600 / (self.train_seconds + self.around_seconds)

    @property
    def experiments(self) -> int:
        """What is left for new ideas."""
        return max(0, int((self.hours * self.trials_per_hour - self.replicates) / (1 + self.reruns)))

    def __str__(self) -> str:
        basis = "as measured here" if self.measured else "a guess, before trials were measured here"
        return (
            f"expect about {self.experiments} experiments in {self.hours:g} h: {self.trials_per_hour:.1f} trials an hour"
            f" ({self.train_seconds:.0f} s of training and {self.around_seconds:.0f} s around it, {basis}),"
            f" less {self.replicates} of the base and {100 * self.reruns:.0f} re-runs for 100 experiments"
        )

    def as_json(self) -> dict[str, Any]:
        """As `doctor --json` shows it."""
        rate = round(self.trials_per_hour, 2)
        return {"experiments": self.experiments, "trials_per_hour": rate, **asdict(self)}


def expect(ledger: Path, budget: Budget, device: str, replicates: int, hours: float) -> Forecast | None:
    """What to expect of a night with this budget; None where the budget says nothing about time."""
    if not budget.seconds:
        return None
    known = _experience(ledger, budget, device)
    train = known["train"] if (known.get("trained") or 0) >= ENOUGH else budget.seconds
    measured = (known.get("trials") or 0) >= ENOUGH
    around = max(0.0, known["around"]) if measured else AROUND[device]
    reruns = known["reruns"] / known["screens"] if (known.get("screens") or 0) >= ENOUGH else RERUNS
    return Forecast(hours, train, around, replicates, reruns, measured)


def _experience(path: Path, budget: Budget, device: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        with Ledger.open(path, readonly=True) as store:
            return dict(store.query(_EXPERIENCE, budget=str(budget), device=device)[0])
    except (UserError, sqlite3.Error):  # a check of its own says what is wrong with it
        return {}
