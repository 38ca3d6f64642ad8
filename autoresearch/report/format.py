"""Times, durations and intervals as people say them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from autoresearch.text import one_line as one_line

if TYPE_CHECKING:  # `log` does not wait for numpy
    from autoresearch.analysis.total import Interval
from collections.abc import Sequence

Row = dict[str, Any]
STYLES = {"keep": "green", "suspect": "bold red", "crash": "red", "invalid": "yellow", "discard": ""}  # others: dim
SIMPLER = "simpler"  # what a keep that is no gain is called

MINUTE, HOUR, DAY = 60, 3600, 86400
NOTES = {"claimed": "a losing claim, not audited", "disturbed": "disturbed"}


def duration(seconds: float) -> str:
    """`4.2 s`, `42 s`, `3 min 20 s`, `3 h 12 min`, `2 d 4 h`: the two largest units."""
    whole = max(0, round(seconds))
    if whole < 10:
        return f"{max(0.0, seconds):.1f} s"
    for size, name, below, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def moment(at: float, now: float) -> str:
    """Local time, with the date if it is another day, and how far away: `07:30 (in 3 h 12 min)`."""
    then, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now).date()
    clock = then.strftime("%H:%M" if then.date() == today else "%a %d %b %H:%M")
    away = f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"
    return f"{clock} ({away})"


def shares(seconds: dict[str, float]) -> str:
    """`train 71 %, score 12 %`, largest first; what is under half a percent is left out."""
    total = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name.replace('_', ' ')} {100 * part / total:.0f} %" for name, part in parts if part > total / 200
    )


def outcome(outcome: str | None, result: Mapping[str, Any]) -> str:
    """How a trial ended, and what is to be known of its score."""
    notes = ", ".join(words for key, words in NOTES.items() if result.get(key))
    return f"{outcome or 'running'}{f' ({notes})' if notes else ''}"


def between(interval: "Interval", form: str = "+.4f") -> str:
    """An interval of a difference, and whether it shows one."""
    sure = "" if interval.high < 0 or interval.low > 0 else ": no difference is shown"
    return f"95 % between {interval.low:{form}} and {interval.high:{form}}{sure}"


def change(row: Row) -> str:
    """Score less the incumbent's mean, and how many sigmas that is."""
    if row["delta"] is None:
        return ""
    sigmas = f" ({row['delta'] / row['sigma']:+.1f} sigma)" if row["sigma"] else ""
    return f"{row['delta']:+.4f}{sigmas}"


def signed(count: float) -> str:
    """A number of parameters more or less: `+1.2M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:+.3g}{unit}"
    return f"{count:+.0f}"


def verdict(row: Row) -> str:
    """In a word or two: a discard may be a near miss, and a keep no gain but less code for the same score."""
    return "near miss" if row["near_miss"] else SIMPLER if row["simpler"] else row["verdict"] or row["state"]


def losses(curve: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """(seconds, loss) of a trial's curve."""
    points = [(point.get("seconds"), point.get("loss")) for point in curve]
    return [(float(x), float(y)) for x, y in points if x is not None and y is not None]
