"""Lines at the bottom of the screen: the running trial, scores, time and money."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from autoresearch.ledger.rows import FILLER
from autoresearch.ledger.session_status import SessionStatus
from autoresearch.report.format import dollars, duration, moment, price_later, trial_words
from autoresearch.session.live import LiveTrial
from autoresearch.terminal.columns import cut
from autoresearch.terminal.curve import sparkline
from autoresearch.text import plain_text

BAR_CHARS = 32  # of the progress bar, at most
CURVE_CHARS = 40  # at most
MIN_CURVE_CHARS = 8
GAP = "  "


def board(
    running: LiveTrial | None,
    status: SessionStatus | None,
    doing: str,
    now: float,
    width: int,
    most_usd: float | None = None,
) -> list[Text]:
    """Return lines of fewer than `width` characters; facts without room are left out.

    `status` is None if there is no session. `doing` says what happens between trials.
    """
    between = [Text(cut(plain_text(doing), width - 1), "bold")] if doing else []
    lines = _trial(running, now, width - 1) if running else between
    if status is not None:
        parts = (_scores(status), _limits(status, now, most_usd))
        lines += [Text(cut(GAP.join(each), width - 1)) for each in parts if each]
    return lines


def _trial(running: LiveTrial, now: float, width: int) -> list[Text]:
    kind = running.purpose if running.purpose != FILLER else f"{trial_words(FILLER)}:"
    title = plain_text(f"{running.n:4}  {kind} {running.stage}{f' ({running.arm})' if running.arm else ''}")
    loss = "" if running.loss is None else f" loss {running.loss:.4g}"
    room = min(CURVE_CHARS, width - len(title) - len(loss) - len(GAP))
    curve = sparkline([each for _, each in running.curve], room) if room >= MIN_CURVE_CHARS else ""
    first = Text(title, "bold").append(f"{GAP}{curve}" if curve else "", "cyan").append(loss, "")
    first.truncate(width)
    return [first, _bar(running, now, width)]


def _bar(running: LiveTrial, now: float, width: int) -> Text:
    facts = [f"{100 * running.fraction:3.0f} %", duration(now - running.since)]
    if running.tokens_per_second:
        facts.append(f"{running.tokens_per_second:,.0f} tokens/s")
    if running.others:
        facts.append(f"and {running.others} more")
    if running.gpu:
        facts.append(_card(running.gpu))
    size = min(BAR_CHARS, width // 3)
    words = _join(facts, width - size - 6 - len(GAP))
    filled = round(size * running.fraction)
    return Text("      ").append("━" * filled, "green").append("─" * (size - filled), "dim").append(GAP + words)


def _card(gpu: dict[str, float]) -> str:
    return f"GPU {gpu['used_mb'] / 1024:.1f} of {gpu['total_mb'] / 1024:.0f} GiB, {gpu['load']:.0f} % busy"


def _scores(status: SessionStatus) -> list[str]:
    best = status.best_bpb if status.best is not None else status.base_bpb
    counts = f"{status.experiments - status.unmeasured} tried, {status.kept} kept"
    if best is None:
        return [counts]
    metric, gain = status.metric, ", the base"
    noise = f" ± {metric.spread(status.sigma)}" if status.sigma else ""
    if status.best and status.base_bpb is not None:
        gain = f" ({metric.change(metric.difference(best, status.base_bpb))})"
    suspects = status.verdicts.get("suspect", 0)
    return [f"best {metric.score(best)}{noise}{gain}", counts, *([f"{suspects} SUSPECT"] if suspects else [])]


def _limits(status: SessionStatus, now: float, most_usd: float | None) -> list[str]:
    parts = [] if status.state == "running" else [status.state.upper()]
    if status.deadline is not None:
        words = "until" if status.deadline > now else "time was up at"
        parts.append(f"{words} {moment(status.deadline, now)}")
    if status.target is not None:
        reached = "" if status.target.n is None else " reached"
        parts.append(f"target {status.metric.score(status.target.val_bpb)}{reached}")
    if status.cost_usd is None or status.cost_usd or most_usd:
        cost = "cost unknown" if status.cost_usd is None else dollars(status.cost_usd)
        parts.append(cost + (f" of ${most_usd:.2f}" if most_usd else ""))
    if status.unpriced:
        parts.append(price_later(status.unpriced))
    return parts


def _join(parts: Sequence[str], width: int) -> str:
    """Join the parts, without those for which there is no room."""
    words = ""
    for part in parts:
        longer = f"{words}{GAP}{part}" if words else part
        if cell_len(longer) <= width:
            words = longer
    return words
