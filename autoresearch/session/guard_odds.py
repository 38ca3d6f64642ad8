"""Guards that are numbers: beliefs about a version's trials beside those of the base and the incumbent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoresearch.judge import Spread, p_above
from autoresearch.ledger import Trial
from autoresearch.ledger.guard_values import guard_values
from autoresearch.ledger.statements import describe_odds
from autoresearch.measure.guards import NumberGuard

P_REFUSED = 0.5  # that a limit is broken, above which a version is not kept ...
P_DROPPED = 0.95  # ... and above which it is measured no further


@dataclass(frozen=True)
class GuardOdds:
    """The values of one guard: of a version, of the base, and of versions that show its noise."""

    guard: NumberGuard
    ours: Sequence[float]
    base: Sequence[float]
    repeats: Sequence[Sequence[float]]

    @classmethod
    def of(
        cls, guard: NumberGuard, ours: Iterable[Trial], base: Iterable[Trial], kept: Iterable[Trial]
    ) -> "GuardOdds | None":
        """Return the odds by trials, with those of an incumbent that is not the base; None without values."""
        values, of_base, of_kept = (guard_values(trials).get(guard.name, []) for trials in (ours, base, kept))
        return cls(guard, values, of_base, [of_base, of_kept]) if values and of_base else None

    @property
    def bound(self) -> float:
        return self.guard.limit.bound(fmean(self.base))

    @property
    def p_broken(self) -> float:
        """Return the probability that the mean of the version breaks the limit."""
        limit = self.guard.limit
        factor = 1 + limit.value if limit.is_share else 0.0
        above = p_above(self.ours, self.bound, Spread.of(self.repeats), factor**2 / len(self.base))
        return above if limit.is_upper else 1 - above

    def describe(self) -> str:
        limit = self.guard.limit
        bound = f" ({self.bound:.4g})" if limit.is_share else ""
        odds = f"broken with a probability of {describe_odds(self.p_broken)}"
        return f"guard {self.guard.name}: {fmean(self.ours):.4g}, {limit}{bound}, {odds}"
