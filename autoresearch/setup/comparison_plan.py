"""The difference of two arms that a night can show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.judge.arm_comparison import POWER, RATE_PRIOR, SETTLED, ArmResults, smallest_ratio
from autoresearch.ledger import Ledger, Session, trial_seconds
from autoresearch.setup.forecast import RERUNS, Forecast


@dataclass(frozen=True)
class ComparisonPlan:
    """The ratio of the gains of two arms for each proposal that `proposals` of each would show; None if none would.

    `keep_rate` is that of the weaker one, as earlier proposals had it.
    """

    hours: float
    experiments: int
    proposals: int
    keep_rate: float
    ratio: float | None

    def __str__(self) -> str:
        night = f"{self.hours:g} h afford about {self.experiments} experiments, {self.proposals} for each"
        rate = f"keep rate of the weaker: {100 * self.keep_rate:.0f} %, as before"
        if self.ratio is None:
            return f"{night}: too few to show with {100 * POWER:.0f} % power that one is better ({rate})"
        shown = f"one is shown to be better (probability {SETTLED:g}, {100 * POWER:.0f} % power)"
        return f"{night}: {shown} if it gains {self.ratio:.1f} times as much for each proposal ({rate})"

    def as_json(self) -> JsonObject:
        return asdict(self)


def plan_comparison(
    store: Ledger, session: Session, arms: Sequence[ArmResults], hours: float, replicates: int, slots: int
) -> ComparisonPlan:
    """Plan a night of two arms in turns on a number of slots, by the trials and the arms of a session.

    Raises UserError before the first whole trial.
    """
    seconds = trial_seconds(store, session)
    if not seconds:
        raise UserError(f"session {session.tag} has no whole trial yet, so the length of one is not known")
    forecast = Forecast(hours * slots, fmean(seconds), 0.0, replicates, RERUNS, measured=True)
    gains, proposals = sum(len(arm.gains) for arm in arms), sum(arm.proposals for arm in arms)
    rate = (RATE_PRIOR[0] + gains) / (sum(RATE_PRIOR) + proposals)
    each = forecast.experiments // 2
    return ComparisonPlan(hours, forecast.experiments, each, rate, smallest_ratio(each, rate) if each else None)
