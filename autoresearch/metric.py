"""The number of a session: its name, unit, direction and kind, the scale on which it is judged, and its text."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

SIGNIFICANT = 5  # digits of a score that is not in bits per byte
OF_A_CHANGE = 3  # digits of a difference of such scores
MAX_DECIMALS = 9
MAX_PLAIN = 1e15  # numbers from here on are written with a power of ten
AUTO, EXACT, NOISY, RATE, TIME = "auto", "exact", "noisy", "rate", "time"  # kinds


@dataclass(frozen=True)
class Metric:
    """One number, as it is measured ("raw"), and as it is judged: on the scale, lower is always better.

    The scale is the raw value with the sign of the goal; of its logarithm where the kind is `time`. Differences on it
    are called deltas: a negative one is a gain.
    """

    name: str
    unit: str = ""
    goal: str = "min"
    kind: str = AUTO

    @property
    def is_log(self) -> bool:
        return self.kind == TIME

    @property
    def direction(self) -> str:
        return f"{self.comparative} is better"

    @property
    def improves(self) -> str:
        """Return what a gain does to the number: `lower` or `raise`."""
        return "raise" if self.goal == "max" else "lower"

    @property
    def comparative(self) -> str:
        return "higher" if self.goal == "max" else "lower"

    @property
    def superlative(self) -> str:
        return f"{self.comparative[:-2]}est"

    @property
    def better(self) -> str:
        """Return the sign of a change that is a gain, in a word."""
        return "positive" if self.goal == "max" else "negative"

    @property
    def gains(self) -> str:
        """Return what the number does in a gain: `falls` or `rises`."""
        return "rises" if self.goal == "max" else "falls"

    @property
    def quantity(self) -> str:
        """Return what differences are differences of."""
        return f"{self.name} in {'percent' if self.is_log else self.unit}".removesuffix(" in ")

    def to_scale(self, raw: float) -> float:
        """Return a raw score on the scale of the judge."""
        return self.sign(math.log(raw) if self.is_log else raw)

    def from_scale(self, score: float) -> float:
        """Return the raw score of one on the scale."""
        return math.exp(self.sign(score)) if self.is_log else self.sign(score)

    def sign(self, delta: float) -> float:
        """Turn a difference on the scale into one with the sign of the raw value, or back."""
        return -delta if self.goal == "max" else delta

    def raw_change(self, delta: float) -> float:
        """Return a delta as people say it: a difference of raw values, or a share of them on a logarithmic scale."""
        return math.expm1(self.sign(delta)) if self.is_log else self.sign(delta)

    def delta(self, change: float) -> float:
        """Return the delta of a change that somebody said; the opposite of `raw_change`."""
        return self.sign(math.log1p(max(change, -0.999))) if self.is_log else self.sign(change)

    def band(self, raw: float, size: float) -> tuple[float, float]:
        """Return the raw scores that are so far from one on the scale, the lower one first."""
        low, high = sorted(self.from_scale(self.to_scale(raw) + way * size) for way in (-1, 1))
        return low, high

    def beats(self, raw: float, other: float) -> bool:
        """Return whether a raw score is better than another."""
        return self.to_scale(raw) < self.to_scale(other)

    def difference(self, raw: float, before: float) -> float:
        """Return the delta of two raw scores."""
        return self.to_scale(raw) - self.to_scale(before)

    def score(self, raw: float) -> str:
        """Return a raw score as text."""
        return _number(raw, SIGNIFICANT)

    def exact_score(self, raw: float) -> str:
        """Return a raw score with all digits that matter."""
        return f"{raw:.10g}"

    def change(self, delta: float) -> str:
        """Return a delta as text, with a sign: that of the raw value."""
        value = self.raw_change(delta)
        return f"{_number(100 * value, OF_A_CHANGE, '+')} %" if self.is_log else _number(value, OF_A_CHANGE, "+")

    def spread(self, size: float) -> str:
        """Return the size of a difference on the scale as text, without a sign."""
        return f"{_number(100 * size, OF_A_CHANGE)} %" if self.is_log else _number(size, OF_A_CHANGE)

    def sigmas(self, delta: float) -> str:
        """Return a delta that is counted in sigmas, with the sign of the raw value."""
        return f"{self.sign(delta):+.1f}"

    def with_unit(self, text: str) -> str:
        """Append the unit to the text of a score, or to that of a difference that is no share."""
        return text if not self.unit or text.endswith("%") else f"{text} {self.unit}"

    @property
    def trailer(self) -> str:
        """Return the name of a score in the message of a commit."""
        return "Score"

    def rounded(self, delta: float) -> float:
        """Return a difference with the digits that an agent gets: a few bits less to overfit to."""
        return _round(delta, OF_A_CHANGE)

    def rounded_score(self, raw: float) -> float:
        """Return a score with the digits that an agent gets."""
        return _round(raw, SIGNIFICANT)

    @property
    def axis(self) -> str:
        return f"{self.name}{f', {self.unit}' if self.unit else ''}, {self.direction}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class _BitsPerByte(Metric):
    """The score of the built-in trial, with four decimals everywhere."""

    trailer = "Val-Bpb"
    axis = "val_bpb, lower is better"
    quantity = "bits per byte"

    def rounded(self, delta: float) -> float:
        return round(delta, 4)

    def rounded_score(self, raw: float) -> float:
        return round(raw, 4)

    def score(self, raw: float) -> str:
        return f"{raw:.4f}"

    def exact_score(self, raw: float) -> str:
        return f"{raw:.6f}"

    def change(self, delta: float) -> str:
        return f"{delta:+.4f}"

    def spread(self, size: float) -> str:
        return f"{size:.4f}"


VAL_BPB: Metric = _BitsPerByte("val_bpb", "bits per byte", "min", NOISY)


def read_metric(settings: Mapping[str, object]) -> Metric:
    """Return the metric of a session by its settings; those of the built-in trial name none."""
    if settings.get("metric") is None:
        return VAL_BPB
    found = {name: str(settings[name]) for name in ("unit", "goal", "kind") if settings.get(name)}
    return Metric(str(settings["metric"]), **found)


def describe_gain(gain: float, metric: Metric) -> str:
    """Return a gain, which has a size on the scale, in words; there is none too small for an exact number."""
    if metric.kind == EXACT:
        return f"any gain of {metric.name}"
    return f"a gain of {metric.with_unit(metric.spread(gain))}"


def _round(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _number(value: float, digits: int, sign: str = "-") -> str:
    """Return a number with so many digits, as few decimals as that needs, and none where it is whole.

    Powers of ten where that would be too long.
    """
    if value == round(value) and abs(value) < MAX_PLAIN:
        return f"{value + 0.0:{sign}.0f}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if abs(value) >= MAX_PLAIN or decimals > MAX_DECIMALS:
        return f"{value:{sign}.{digits}g}"
    return f"{value:{sign}.{min(max(decimals, 0), MAX_DECIMALS)}f}"
