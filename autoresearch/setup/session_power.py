"""The smallest gain that a session can show, and how many experiments it affords."""

from dataclasses import asdict, dataclass

from autoresearch import judge
from autoresearch.analysis.session_noise import comparable_sessions, earlier_noise
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.judge.noise import STEADY, Noise, WeightedModel
from autoresearch.ledger import Ledger
from autoresearch.ledger.metrics import count_tasks, settle_metric
from autoresearch.metric import EXACT, VAL_BPB, Metric, describe_gain
from autoresearch.setup import forecast
from autoresearch.setup.forecast import Forecast
from autoresearch.setup.project import Project, pinned_settings, trial_identity

UNKNOWN = "the smallest gain that this night can show is not known before the base was measured: `run` says it then"


@dataclass(frozen=True)
class SessionPower:
    """The gain, on the scale of the metric, that is kept with a probability of `judge.POWER`, and the experiments.

    They are those of `hours`; None where trials have no known duration.
    """

    gain: float
    sigma: float
    experiments: int | None
    hours: float | None
    metric: Metric = VAL_BPB

    def __str__(self) -> str:
        return f"this night can show {self.words}"

    @property
    def words(self) -> str:
        many = "" if self.experiments is None else f", about {self.experiments} experiments"
        power = "" if self.metric.kind == EXACT else f" ({100 * judge.POWER:.0f} % power)"
        return f"{describe_gain(self.gain, self.metric)}{power}{many}"

    def as_json(self) -> JsonObject:
        return asdict(self)


def expect_experiments(project: Project, hours: float, slots: int = 1) -> Forecast | None:
    """Return the forecast for so many hours of each slot; None where trials have no known duration."""
    settings = project.settings
    return forecast.expect(project.ledger, settings.budget, settings.device, project.config.replicates, hours, slots)


def find_power(
    rule: str, noise: Noise, replicates: int, expected: Forecast | None, metric: Metric = VAL_BPB, tasks: int = 0
) -> SessionPower | None:
    """Return what a session can show; None while the noise is unknown. `tasks` are those of a rate."""
    if not noise.dof and metric.kind != EXACT:
        return None
    experiments, hours = (expected.experiments, expected.hours) if expected is not None else (None, None)
    if metric.kind == EXACT:
        return SessionPower(0.0, 0.0, experiments, hours, metric)
    gain = judge.smallest_gain(rule, noise, replicates, judge.typical_error(tasks) if tasks else 0.0)
    return SessionPower(round(gain, 6) if metric == VAL_BPB else gain, noise.sigma, experiments, hours, metric)


def expect_power(project: Project, expected: Forecast | None) -> SessionPower | None:
    """Return what a new session can show by the noise that is known; None without any."""
    if not project.ledger.exists():
        return None
    try:
        with Ledger.open(project.ledger, readonly=True) as store:
            known = trial_identity(project), pinned_settings(project)
            earlier, alike = earlier_noise(store, *known), comparable_sessions(store, *known)
            if earlier is None:
                return None
            metric = project.command.metric if project.command else VAL_BPB
            tasks = 0
            if alike:
                metric, tasks = settle_metric(store, alike[-1]), count_tasks(store, alike[-1])
    except UserError:  # other commands report it
        return None
    sigma, dof = earlier
    noise = Noise(sigma, dof, (WeightedModel(STEADY, 1.0, sigma),))
    noise = judge.rate_noise(noise, tasks) if tasks else noise
    rule = judge.rule_for(project.config.judge, metric)
    return find_power(rule, noise, project.config.replicates, expected, metric, tasks)
