"""What a session can show: said when it begins, or as soon as the noise is known, and again when it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from autoresearch import judge
from autoresearch.ledger import count_settled
from autoresearch.ledger.metrics import count_tasks
from autoresearch.ledger.queries import trial_seconds
from autoresearch.ledger.session_status import POWER_EVENT
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence
from autoresearch.session.stopping import SessionControl
from autoresearch.setup.forecast import RERUNS, Forecast
from autoresearch.setup.project import Project
from autoresearch.setup.session_power import SessionPower, expect_experiments, find_power


def expect_of_command(context: SessionContext, replicates: int, hours: float) -> Forecast | None:
    """Return the forecast for so many hours of one slot by the trials of this session; None before the first."""
    seconds = trial_seconds(context.ledger, context.row)
    return Forecast(hours, fmean(seconds), 0.0, replicates, RERUNS, measured=True) if seconds else None


def choose_forecast(context: SessionContext, project: Project) -> Callable[[float], Forecast | None]:
    """Return what forecasts the experiments of so many hours."""
    if project.command is None:
        return partial(expect_experiments, project)
    return partial(expect_of_command, context, project.config.replicates)


@dataclass(frozen=True)
class PowerReport:
    """Emit the power of one session; `forecast` returns the experiments of so many hours of one slot."""

    context: SessionContext
    evidence: Evidence
    control: SessionControl
    slots: int
    forecast: Callable[[float], Forecast | None]

    def announce(self) -> bool:
        """Say what the session can show in the time that is left; return whether that is known."""
        left = self.control.limits.seconds_left()
        usable = None if left is None else max(0.0, left - self.control.reserve_s()) * self.slots / 3600
        power = self._find(None if usable is None else self.forecast(usable))
        if power is not None:
            self._emit(f"this night can show {power.words}", power.gain, power.experiments)
        return power is not None

    def conclude(self) -> None:
        """Say what the session could show, by the noise and the experiments that it had, if it had any."""
        experiments = count_settled(self.context.ledger, self.context.row)
        if experiments and (power := self._find(None)) is not None:
            self._emit(f"this night could show {power.words}, in {experiments} experiments", power.gain, experiments)

    def _find(self, forecast: Forecast | None) -> SessionPower | None:
        evidence = self.evidence
        rule = judge.rule_for(self.context.row.judge, evidence.metric)
        tasks = count_tasks(self.context.ledger, self.context.row)
        return find_power(rule, evidence.noise(), evidence.replicates, forecast, evidence.metric, tasks)

    def _emit(self, words: str, gain: float, experiments: int | None) -> None:
        self.context.emit(POWER_EVENT, None, words, gain=gain, experiments=experiments)
