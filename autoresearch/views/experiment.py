"""One experiment, whole: what was tried and why, how it was measured, what came of it."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from autoresearch.measure.log import plain
from autoresearch.views.log import change
from autoresearch.views.words import duration, one_line

BARS = "▁▂▃▄▅▆▇█"
POINTS = 40  # of a curve
LONGEST = 2000  # characters of one entry of a trace


def print_experiment(facts: dict[str, Any], console: Console) -> None:
    """Hypothesis, verdict, every trial with its seed and score, the curve of the last one, and the change."""
    for name, value in _lines(facts).items():
        console.print(f"[bold]{name:12}[/]{escape(plain(value))}", highlight=False, soft_wrap=True)
    for trial in facts["trials"]:
        console.print(f"[bold]{'trial':12}[/]{escape(plain(_trial(trial)))}", highlight=False, soft_wrap=True)
    curves = [trial["result"]["curve"] for trial in facts["trials"] if trial["result"].get("curve")]
    if curves and (curve := _curve(curves[-1])):
        console.print(f"[bold]{'curve':12}[/]{escape(curve)}", highlight=False, soft_wrap=True)
    if facts["patch"]:
        console.print()
        print_patch(facts["patch"], console)


def print_trace(trace: list[dict[str, Any]], console: Console) -> None:
    """How the proposal came about, entry by entry."""
    if not trace:
        console.print("no trace: this is the base, or its proposal is older than the traces", highlight=False)
    for entry in trace:
        rest = {name: value for name, value in entry.items() if name not in ("kind", "text")}
        console.print(f"[bold]--- {escape(one_line(str(entry.get('kind'))))}[/]", highlight=False)
        text = str(entry.get("text", "")) + ("\n" if "text" in entry and rest else "")
        text += json.dumps(rest, indent=1, ensure_ascii=False) if rest else ""
        more = f"\n[... {len(text) - LONGEST} more characters: --json has them]" if len(text) > LONGEST else ""
        console.print(escape(plain(text[:LONGEST]) + more), highlight=False, soft_wrap=True)


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    who = " ".join(filter(None, (facts["agent"], facts["model"])))
    found = {
        "experiment": f"{facts['n']}, derived from {facts['parent']}" if facts["n"] else "0, the base",
        "commit": facts["sha"] or "",
        "hypothesis": one_line(facts["hypothesis"]),
        "changed": one_line(facts["change"]) if facts["model"] else "",
        "by": f"{who}, {facts['category']}" if who else "",
        "asked for": _asked(facts),
        "verdict": f"{facts['verdict']}: {one_line(facts['reason'])}" if facts["verdict"] else facts["state"],
        "val_bpb": _number(facts["val_bpb"]),
        "change": change(facts),
        "predicted": f"{facts['predicted']:+.4f}" if facts["predicted"] is not None else "",
        "probability": f"{100 * facts['p_gain']:.0f} % that it is better" if facts["p_gain"] is not None else "",
        "lines": f"+{facts['lines_added']} -{facts['lines_removed']}" if facts["lines_added"] is not None else "",
        "cost": f"${facts['cost_usd']:.3f}" if facts["cost_usd"] else "",
    }
    return {name: value for name, value in found.items() if value}


def _asked(facts: dict[str, Any]) -> str:
    line = f", line of experiment {facts['line']}" if facts["line"] is not None else ""
    return f"{facts['mode']}{line}" if facts["mode"] else ""


def _trial(trial: dict[str, Any]) -> str:
    if trial["outcome"] is None:
        return f"{trial['purpose']}, seed {trial['seed']}: running"
    result = trial["result"]
    words = f"{trial['purpose']}, seed {trial['seed']}: {trial['outcome']} {_number(trial['val_bpb'])}".rstrip()
    if result.get("claimed"):
        words += " (a losing claim, not audited)"
    if trial["outcome"] != "ok":
        return f"{words}: {one_line(result.get('reason'))}"
    names = {"training": "train_seconds", "scoring": "score_seconds", "setup": "setup_seconds"}
    times = ", ".join(f"{name} {duration(trial[key] or 0)}" for name, key in names.items())
    return f"{words}, {times}, {trial['grade']}"


def _curve(points: list[dict[str, float]]) -> str:
    """The loss as it fell, as a line of bars."""
    losses = [point["loss"] for point in points if point.get("loss") is not None]
    if len(losses) < 2:
        return ""
    drawn = losses[:: max(1, len(losses) // POINTS)]
    low, high = min(drawn), max(drawn)
    bars = "".join(BARS[round((len(BARS) - 1) * (loss - low) / ((high - low) or 1))] for loss in drawn)
    return f"loss {losses[0]:.3f} {bars} {losses[-1]:.3f}, as train.py says"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def print_patch(patch: str, console: Console) -> None:
    """A change, coloured in a terminal, and without anything that a terminal obeys."""
    patch = plain(patch)
    if console.is_terminal:
        from rich.syntax import Syntax  # here, for it takes a tenth of a second to import

        console.print(Syntax(patch, "diff", theme="ansi_dark", background_color="default"))
    else:
        console.print(escape(patch), highlight=False, soft_wrap=True)
