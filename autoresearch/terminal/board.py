"""The few lines at the bottom of the screen: what runs, what came of it so far, and what is left of time and money."""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from autoresearch.report.format import duration, moment
from autoresearch.session.live import LiveTrial
from autoresearch.terminal.columns import cut
from autoresearch.terminal.curve import sparkline
from autoresearch.text import plain_text

BAR = 32  # characters of the progress bar, at most
SPARK = 40  # and of the curve
GAP = "  "


def board(
    running: LiveTrial | None,
    status: dict[str, Any] | None,
    doing: str,
    now: float,
    width: int,
    most_usd: float | None = None,
) -> list[Text]:
    """Lines of fewer than `width` characters; what tells least is left out where there is no room.

    `status` is what `status --json` shows, None where there is no session. `doing` says what happens between trials.
    """
    between = [Text(cut(plain_text(doing), width - 1), "bold")] if doing else []
    lines = _trial(running, now, width - 1) if running else between
    if status is not None:
        parts = (_scores(status), _left(status, now, most_usd))
        lines += [Text(cut(GAP.join(each), width - 1)) for each in parts if each]
    return lines


def _trial(running: LiveTrial, now: float, width: int) -> list[Text]:
    title = plain_text(f"{running.n:4}  {running.purpose} {running.stage}")
    loss = "" if running.loss is None else f" loss {running.loss:.4g}"
    room = min(SPARK, width - len(title) - len(loss) - len(GAP))
    curve = sparkline([each for _, each in running.curve], room) if room >= 8 else ""
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
    wide = min(BAR, width // 3)
    words = _fitting(facts, width - wide - 6 - len(GAP))
    done = round(wide * running.fraction)
    return Text("      ").append("━" * done, "green").append("─" * (wide - done), "dim").append(GAP + words)


def _card(gpu: dict[str, float]) -> str:
    return f"GPU {gpu['used_mb'] / 1024:.1f} of {gpu['total_mb'] / 1024:.0f} GiB, {gpu['load']:.0f} % busy"


def _scores(status: dict[str, Any]) -> list[str]:
    best = status["best_bpb"] if status["best"] is not None else status["base_bpb"]
    tried = f"{status['experiments']} tried, {status['kept']} kept"
    if best is None:
        return [tried]
    noise = f" ± {status['sigma']:.4f}" if status["sigma"] else ""
    gain = f" ({best - status['base_bpb']:+.4f})" if status["best"] and status["base_bpb"] is not None else ", the base"
    suspects = status["verdicts"].get("suspect", 0)
    return [f"best {best:.4f}{noise}{gain}", tried, *([f"{suspects} SUSPECT"] if suspects else [])]


def _left(status: dict[str, Any], now: float, most_usd: float | None) -> list[str]:
    parts = [] if status["state"] == "running" else [str(status["state"]).upper()]
    if status["deadline"] is not None:
        parts.append(f"until {moment(status['deadline'], now)}")
    cost = status["cost_usd"]
    if cost or most_usd:
        spent = "cost unknown" if cost is None else f"${cost:.2f}"
        parts.append(spent + (f" of ${most_usd:.2f}" if most_usd else ""))
    return parts


def _fitting(parts: Sequence[str], width: int) -> str:
    """As many of the parts as there is room for, the first ones first."""
    words = ""
    for part in parts:
        longer = f"{words}{GAP}{part}" if words else part
        if cell_len(longer) <= width:
            words = longer
    return words
