"""Times, durations, intervals and scores as text."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from autoresearch.config import how_to_price
from autoresearch.ledger.rows import FILLER, Experiment, Trial
from autoresearch.ledger.session_status import MeanDifference, SessionStatus, TotalOnRecord
from autoresearch.metric import Metric
from autoresearch.text import one_line

if TYPE_CHECKING:  # not at run time: `log` does not import numpy
    from autoresearch.analysis.total import Interval

    AnyInterval = Interval | MeanDifference | TotalOnRecord

TONES = {"keep": "good", "suspect": "bad", "crash": "failed", "invalid": "warn", "discard": ""}  # others: quiet

UNMEASURED = "unmeasured"  # instead of the verdict of what was dropped before it had a score

MINUTE, HOUR, DAY = 60, 3600, 86400
MAX_MODEL_CHARS = 60


def duration(seconds: float) -> str:
    """Return the two largest units: `4.2 s`, `42 s`, `3 min 20 s`, `3 h 12 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 10:
        return f"{max(0.0, seconds):.1f} s"
    for size, name, below, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def moment(at: float, now: float) -> str:
    """Return local time and distance: `07:30 (in 3 h 12 min)`, on other days with the date."""
    then, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now).date()
    clock = then.strftime("%H:%M" if then.date() == today else "%a %d %b %H:%M")
    distance = f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"
    return f"{clock} ({distance})"


def shares(seconds: dict[str, float]) -> str:
    """Return `train 71 %, score 12 %`, largest first, without shares under half a percent."""
    total = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name.replace('_', ' ')} {100 * part / total:.0f} %" for name, part in parts if part > total / 200
    )


def trial_words(purpose: str) -> str:
    """Return what kind of trial runs: `screen trial`, or in more words for a filler."""
    return "filler while the agent works" if purpose == FILLER else f"{purpose} trial"


def count(number: int, name: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def outcome(trial: Trial) -> str:
    """Return the outcome of a trial, with a note if it was not audited, or disturbed."""
    notes = {"claimed": "a losing claim, not audited", "disturbed": "disturbed", "ended_early": "ended early"}
    words = ", ".join(note for key, note in notes.items() if trial.result.get(key))
    return f"{trial.outcome or 'running'}{f' ({words})' if words else ''}"


def between(interval: "AnyInterval", write: Callable[[float], str]) -> str:
    """Return the interval of a difference, its lower end as it is written first, with a note where it includes zero."""
    note = "" if interval.high < 0 or interval.low > 0 else ": no difference is shown"
    rises = write(-1.0).startswith("+")  # a gain is negative, and written as a rise
    low, high = (interval.high, interval.low) if rises else (interval.low, interval.high)
    return f"95 % between {write(low)} and {write(high)}{note}"


def optimism(gain: float, interval: "AnyInterval") -> str:
    """Compare the change that the search saw with what fresh seeds show."""
    if gain < interval.low:
        return "it chose the keeps by these numbers, so they are too good"
    return "the honest total agrees with it" if gain <= interval.high else "fresh seeds show more"


def change(row: Experiment, metric: Metric) -> str:
    """Return the score minus the incumbent's mean, also in sigmas."""
    if row.delta is None:
        return ""
    sigmas = f" ({metric.sigmas(row.delta / row.sigma)} sigma)" if row.sigma else ""
    return f"{metric.change(row.delta)}{sigmas}"


def short_count(number: float) -> str:
    """Return a signed count in short: `+1.2M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:+.3g}{unit}"
    return f"{number:+.0f}"


def verdict(row: Experiment) -> str:
    """Return the verdict; a discard may be a near miss or was never measured, and a keep may be only simpler."""
    if row.unmeasured:
        return UNMEASURED
    return "near miss" if row.near_miss else "simpler" if row.simpler else row.verdict or row.state


def tone(verdict: str | None) -> str:
    return TONES.get(verdict or "", "quiet")


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def money(status: SessionStatus) -> str:
    """Return the dollars of a session's model calls; where they are unknown, also how to make them known."""
    if status.cost_usd is not None:
        return dollars(status.cost_usd)
    return f"unknown: {price_later(status.unpriced)}" if status.unpriced else "unknown"


def price_later(models: Sequence[str]) -> str:
    """Say how calls that are still to come get a price."""
    names = [one_line(model, MAX_MODEL_CHARS) for model in models]
    return f"{how_to_price(names)} gives later calls a price"


def dollars(cost: float | None) -> str:
    return "unknown" if cost is None else f"${cost:.2f}"


def score_label(names: Collection[str], metric: Metric) -> str:
    """Return the name of the metric, to stand among other names; `score` if one of them is the same."""
    return "score" if metric.name in names else metric.name


def name_score(values: Mapping[str, str], metric: Metric) -> dict[str, str]:
    """Return values with the name of the metric in place of `score`, unless another value has that name."""
    label = score_label(values, metric)
    return {label if name == "score" else name: value for name, value in values.items()}
