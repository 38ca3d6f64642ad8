"""Measure what share of a gain survives at a longer budget.

Versions run in turns on the same fresh seeds, at the session's budget and at a longer one. A longer budget is another
identity: these scores decide no verdict, and are compared with no others. A trial of an earlier call with the same seed
and budget is not repeated, so a call that was interrupted continues.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import fmean

from autoresearch import judge
from autoresearch.analysis import remeasure
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import FailedVersionError, Remeasurer
from autoresearch.analysis.session_noise import session_noise
from autoresearch.analysis.total import quantile
from autoresearch.errors import UsageError, UserError, require
from autoresearch.files import JsonObject
from autoresearch.ledger import Event, Experiment, Ledger, Session
from autoresearch.ledger import statements as rules
from autoresearch.ledger.rows import TRANSFER
from autoresearch.measure.clock import Budget


@dataclass(frozen=True)
class Survival:
    """The share of a gain that survives, and its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class VersionGain:
    """A version minus an earlier one, in bits per byte (negative is better), at both budgets."""

    before: int
    n: int
    change: str
    short: float  # at the session's budget
    short_error: float
    longer: float
    longer_error: float
    survival: Survival | None  # None: the gain at the session's budget is not clear
    p_shrinks: float | None  # probability that over half of the gain is lost; None: no gain at the session's budget

    @property
    def finding(self) -> str:
        """Return what the measurement shows: shrinks, survives or unclear."""
        if self.p_shrinks is None:
            return "unclear"
        if self.p_shrinks >= rules.SHRINKS_ODDS:
            return "shrinks"
        return "survives" if self.p_shrinks <= 1 - rules.SHRINKS_ODDS else "unclear"


@dataclass(frozen=True)
class Transfer:
    """The final version against the base at two budgets, and each keep against the one before if that was asked."""

    pairs: int
    budget: str  # of the session
    longer: str
    whole: VersionGain
    keeps: list[VersionGain]
    failed: list[int] = field(default_factory=list)  # keeps that gave no score, and are not in `keeps`

    @property
    def shrinking(self) -> list[int]:
        """Return the keeps of whose gain over half is lost."""
        return [step.n for step in self.keeps or [self.whole] if step.finding == "shrinks"]

    def step_of(self, n: int) -> VersionGain | None:
        """Return what was measured of keep `n` alone; None if it was measured only with others."""
        return next((step for step in self.keeps if step.n == n), None)

    def as_json(self) -> JsonObject:
        """Return what `transfer --json` prints (docs/json.md)."""
        whole, *keeps = (asdict(step) | {"finding": step.finding} for step in (self.whole, *self.keeps))
        return asdict(self) | {"whole": whole, "keeps": keeps}


def newest_transfer(events: Sequence[Event]) -> Transfer | None:
    """Return the newest transfer in a session's events; None if it has another format."""
    data = next((event.data for event in reversed(events) if event.kind == TRANSFER), {})
    try:
        steps = [_parse_step(each) for each in (data["whole"], *data["keeps"])]
        budgets = data["budget"], data["longer"]
        return Transfer(data["pairs"], *budgets, steps[0], steps[1:], data.get("failed", []))
    except (KeyError, TypeError):
        return None


def _parse_step(data: JsonObject) -> VersionGain:
    known = data["survival"]
    return VersionGain(**data | {"survival": Survival(**known) if known else None})


def require_longer(budget: Budget, text: str) -> Budget:
    """Return the longer budget that a user has given. Raises UsageError if it is not one."""
    longer = Budget.parse(text)
    if longer.unit != budget.unit:
        raise UsageError(f"--budget {text}: the session's budget is {budget}: give a longer one in the same unit")
    if longer.amount <= budget.amount:
        raise UsageError(f"--budget {text}: choose a longer budget than that of the session, {budget}")
    return longer


def choose_versions(store: Ledger, session: Session, n: int | None, each_keep: bool) -> list[Experiment]:
    """Return the base, the keeps between if they are wanted, and keep `n` or the incumbent. Raises UserError."""
    versions = stack(store, session)
    if n is not None:
        versions = [row for row in versions if row.n <= n]
        if n == 0 or versions[-1].n != n:
            raise UserError(f"experiment {n} is not kept in the final version: see `autoresearch log`")
    return versions if each_keep else [versions[0], versions[-1]]


@dataclass(frozen=True)
class Series:
    """The draws of versions at one budget."""

    remeasurer: Remeasurer
    purpose: str
    pairs: int

    @property
    def budget(self) -> Budget:
        return self.remeasurer.referee.settings.budget

    def find(self, experiment: Experiment, k: int) -> float | None:
        """Return the score of draw `k` if it was measured before."""
        seed = self.remeasurer.seed_of(k, self.purpose)
        wanted = (self.purpose, seed, experiment.blob, "ok", str(self.budget))
        session = self.remeasurer.session
        for trial in self.remeasurer.ledger.trials(session.id, experiment.id):
            budget = trial.result.get("budget", session.settings.get("budget"))
            if (trial.purpose, trial.seed, trial.blob, trial.outcome, budget) == wanted:
                return trial.val_bpb
        return None

    def draw(self, experiment: Experiment, k: int) -> float:
        """Return the score of draw `k`, measured now if it was not before. Raises UserError."""
        known = self.find(experiment, k)
        return require(self.remeasurer.run_trial(experiment, k, self.purpose).val_bpb) if known is None else known

    def count_missing(self, versions: Sequence[Experiment]) -> int:
        return sum(self.find(row, k) is None for row in versions for k in range(self.pairs))


def both_series(short: Remeasurer, longer: Remeasurer, pairs: int) -> tuple[Series, Series]:
    return Series(short, remeasure.PURPOSE, pairs), Series(longer, TRANSFER, pairs)


def describe_work(series: Sequence[Series], versions: Sequence[Experiment]) -> str:
    """Say how many trials have to be measured at each budget."""
    counts = [(each.count_missing(versions), each.pairs * len(versions), each.budget) for each in series]
    return ", ".join(f"{missing} of {whole} trials at {budget}" for missing, whole, budget in counts) + " to measure"


def measure_transfer(series: tuple[Series, Series], versions: Sequence[Experiment]) -> Transfer:
    """Measure versions, the base first, at both budgets in turns. Raises UserError if the first or last one fails.

    A keep between them that fails is left out: the next one is compared with the one before.
    """
    pairs, failed = series[0].pairs, set[int]()
    for k in range(pairs):
        for each in series:
            for row in versions if k % 2 == 0 else reversed(versions):
                if row.n not in failed and not _is_measured(each, row, k, row in (versions[0], versions[-1])):
                    failed.add(row.n)
    versions = [row for row in versions if row.n not in failed]
    scores = [{row.n: [require(each.find(row, k)) for k in range(pairs)] for row in versions} for each in series]
    short, longer = series
    remeasurer = short.remeasurer
    known = session_noise(remeasurer.ledger, remeasurer.session)
    measured = Measured(scores[0], _noise(scores[0], known)), Measured(scores[1], _noise(scores[1], None))
    whole = compare(versions[0], versions[-1], *measured)
    keeps = [compare(*pair, *measured) for pair in pairwise(versions)] if len(versions) > 2 else []
    return Transfer(pairs, str(short.budget), str(longer.budget), whole, keeps, sorted(failed))


def _is_measured(series: Series, row: Experiment, k: int, is_needed: bool) -> bool:
    """Measure draw `k` of a version; return False if it fails. Raises UserError if it fails and is needed."""
    try:
        series.draw(row, k)
    except FailedVersionError:
        if is_needed:
            raise
        return False
    return True


@dataclass(frozen=True)
class Measured:
    """Scores of versions at one budget, by number, and their noise."""

    scores: dict[int, list[float]]
    noise: judge.Noise

    def difference(self, before: Experiment, after: Experiment) -> tuple[float, float]:
        """Return the difference of two means and its standard error; what a seed gives both is left out of account."""
        ours, theirs = self.scores[after.n], self.scores[before.n]
        return fmean(ours) - fmean(theirs), self.noise.sigma * math.sqrt(1 / len(ours) + 1 / len(theirs))


def _noise(scores: dict[int, list[float]], known: tuple[float, float] | None) -> judge.Noise:
    return judge.noise([[judge.Draw(score, k) for k, score in enumerate(group)] for group in scores.values()], known)


def compare(before: Experiment, after: Experiment, short: Measured, longer: Measured) -> VersionGain:
    """Compare two versions at both budgets."""
    gain, gain_error = short.difference(before, after)
    later, later_error = longer.difference(before, after)
    dof = min(short.noise.dof, longer.noise.dof)
    half_error = math.hypot(later_error, gain_error / 2)
    return VersionGain(
        before=before.n,
        n=after.n,
        change=after.hypothesis or after.change or "",
        short=gain,
        short_error=gain_error,
        longer=later,
        longer_error=later_error,
        survival=survival((gain, gain_error), (later, later_error), dof),
        p_shrinks=judge.p_below_zero(gain / 2 - later, half_error, dof) if gain < 0 else None,
    )


def survival(short: tuple[float, float], longer: tuple[float, float], dof: float) -> Survival | None:
    """Return the ratio of two differences and its interval by Fieller's theorem (1954).

    Each is a difference and its standard error. None if the first one is not clearly below zero.
    """
    (gain, gain_error), (later, later_error) = short, longer
    reach = quantile(dof)
    square = gain**2 - (reach * gain_error) ** 2
    if gain >= 0 or square <= 0:
        return None
    spread = reach * math.sqrt(later_error**2 * square + (gain_error * later) ** 2)
    product = gain * later
    return Survival(later / gain, (product - spread) / square, (product + spread) / square)
