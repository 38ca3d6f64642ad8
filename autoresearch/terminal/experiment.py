"""One experiment, whole: what was tried and why, how it was measured, what came of it."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from autoresearch.analysis.ablate import Part
from autoresearch.hardware import peak_tflops
from autoresearch.ledger import AFTERWARDS
from autoresearch.measure.facts import describe_speed
from autoresearch.report.format import STYLES, change, duration, losses, one_line, outcome, signed
from autoresearch.sandbox.grade import describe
from autoresearch.terminal.columns import Column, fitting, lines, print_lines
from autoresearch.terminal.curve import chart
from autoresearch.terminal.pairs import print_pairs
from autoresearch.terminal.patch import print_patch
from autoresearch.text import plain_text

Facts = dict[str, Any]

WIDTH, HEIGHT = 60, 8  # characters of the chart
AXIS = 8  # characters beside it
LONGEST = 2000  # characters of one entry of a trace


def print_experiment(found: Facts, parent: Facts | None, console: Console) -> None:
    """Verdict and why, prediction beside measurement, every trial, the curve beside the parent's, and the change.

    Both as `show --json` has them.
    """
    result = _result(found)
    console.print(Text(_title(found), "bold"), soft_wrap=not console.is_terminal)
    console.print(Text(_verdict(found), STYLES.get(found["verdict"], "dim")), soft_wrap=not console.is_terminal)
    console.print()
    print_pairs({**_about(found), **_measured(found, parent), **_resources(found, result)}, console)
    if found["trials"]:
        console.print()
        columns = _trials([*_judging(found), *_beside(found), *_afterwards(found)])
        print_lines(lines(fitting(columns, console.width if console.is_terminal else None)), console)
    _print_curves(found, parent, console)
    if found["patch"]:
        console.print()
        print_patch(found["patch"], console)


def print_trace(trace: Sequence[Facts], console: Console) -> None:
    """How the proposal came about, entry by entry."""
    if not trace:
        console.print("no trace: this is the base, or its proposal is older than the traces", highlight=False)
    for entry in trace:
        rest = {name: value for name, value in entry.items() if name not in ("kind", "text")}
        console.print(f"[bold]--- {escape(one_line(str(entry.get('kind'))))}[/]", highlight=False)
        text = str(entry.get("text", "")) + ("\n" if "text" in entry and rest else "")
        text += json.dumps(rest, indent=1, ensure_ascii=False) if rest else ""
        more = f"\n[... {len(text) - LONGEST} more characters: --json has them]" if len(text) > LONGEST else ""
        console.print(Text(plain_text(text[:LONGEST]) + more), soft_wrap=True)


def _title(found: Facts) -> str:
    origin = f", derived from {found['parent']}" if found["n"] else ", the base"
    return f"experiment {found['n']}{origin}, {(found['sha'] or 'no commit')[:12]}"


def _verdict(found: Facts) -> str:
    if found["verdict"] is None:
        return str(found["state"])
    near = " (a near miss)" if found["near_miss"] else ""
    return f"{found['verdict']}{near}: {one_line(found['reason'])[:LONGEST]}"


def _about(found: Facts) -> dict[str, str]:
    who = " ".join(filter(None, (found["agent"], found["model"])))
    return _said(
        {
            "hypothesis": one_line(found["hypothesis"]),
            "changed": one_line(found["change"]) if found["model"] else "",
            "by": one_line(f"{who}, {found['category']}") if who else "",
            "asked for": _asked(found),
            "review": _reviewed(found["review"]),
            "ablation": _ablated(found["ablation"]),
        }
    )


def _measured(found: Facts, parent: Facts | None) -> dict[str, str]:
    error = found.get("error")
    measured = change(found) + (f", give or take {error:.4f}" if error and found["delta"] is not None else "")
    return _said(
        {
            "val_bpb": _number(found["val_bpb"]),
            "predicted": _predicted(found),
            "measured": measured,
            "rows": _rows(found),
            "probability": f"{100 * found['p_gain']:.0f} % that it is better" if found["p_gain"] is not None else "",
            "size": _size(found, parent),
            "code": _code(found["size"], parent["size"] if parent else None),
            "cost": f"${found['cost_usd']:.3f}" if found["cost_usd"] else "",
        }
    )


def _resources(found: Facts, result: Facts) -> dict[str, str]:
    again = f", and {_lasted(_afterwards(found))} to measure it again" if _afterwards(found) else ""
    peaks = [trial["peak_mb"] for trial in _judging(found) if trial["peak_mb"]]
    said = describe_speed(result, peak_tflops((result.get("identity") or {}).get("gpu"))) if result else ""
    grades = {trial["grade"] for trial in _judging(found) if trial["grade"]}
    audit = result.get("audit")
    return _said(
        {
            "time": f"{_lasted(_judging(found))}{again}" if found["trials"] else "",
            "memory": f"{max(peaks) / 1024:.1f} GiB of the card at the peak" if peaks else "",
            "training": f"{said}, as train.py says" if said else "",
            "audit": f"{audit['n']:.0f} positions, {audit['d_mean']:+.1e} nats from the claim" if audit else "",
            "protection": f"{' and '.join(sorted(grades))}: {describe(result['layers'])}" if grades and result else "",
            "unprotected": "; ".join(map(one_line, result.get("weaknesses") or [])),
        }
    )


def _said(pairs: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in pairs.items() if value}


def _asked(found: Facts) -> str:
    line = f", line of experiment {found['line']}" if found["line"] is not None else ""
    return f"{found['mode']}{line}" if found["mode"] else ""


def _predicted(found: Facts) -> str:
    predicted, delta = found["predicted"], found["delta"]
    if predicted is None:
        return ""
    wrong = delta is not None and predicted * delta < 0
    return f"{predicted:+.4f}{': it went the other way' if wrong else ''}"


def _rows(found: Facts) -> str:
    rows = found.get("rows")
    if rows is None:
        return ""
    better = f"{rows['better']} of {rows['count']} are better than in experiment {found['parent']}"
    return f"{better}: {rows['delta']:+.4f}, give or take {rows['error']:.4f} by the choice of rows"


def _size(found: Facts, parent: Facts | None) -> str:
    parts = [f"+{found['lines_added']} -{found['lines_removed']} lines"] if found["lines_added"] is not None else []
    params, before = _params(found), _params(parent)
    if params:
        more = f" ({signed(params - before)})" if before and params != before else ""
        parts.append(f"{params / 1e6:.3g}M parameters{more}")
    return ", ".join(parts)


def _code(size: Facts | None, before: Facts | None) -> str:
    """Lines and tokens that are no comment and no docstring, and how many more than the parent's."""
    if size is None:
        return ""
    names = ("lines", "tokens")
    more = ", ".join(f"{size[name] - before[name]:+d}" for name in names) if before and before != size else ""
    return " and ".join(f"{size[name]:,} {name}" for name in names) + (f" ({more})" if more else "")


def _params(found: Facts | None) -> float:
    return max((trial["num_params"] or 0.0 for trial in _judging(found)), default=0.0) if found else 0.0


def _judging(found: Facts) -> list[Facts]:
    """The trials that it was judged by, interrupted ones among them."""
    return [trial for trial in found["trials"] if trial["purpose"] not in AFTERWARDS]


def _beside(found: Facts) -> list[Facts]:
    """Those of the incumbent that were held against it."""
    return [{**trial, "purpose": f"of {trial['n']}, beside it"} for trial in found["beside"]]


def _afterwards(found: Facts) -> list[Facts]:
    """Those that measured it again later, or the final version without it."""
    later = [trial for trial in found["trials"] if trial["purpose"] in AFTERWARDS]
    return [trial if trial["own"] else {**trial, "purpose": "without it"} for trial in later]


def _lasted(trials: Sequence[Facts]) -> str:
    lasted = [trial["ended"] - trial["started"] for trial in trials if trial["ended"] is not None]
    return f"{duration(sum(lasted))} in {len(lasted)} trial{'s' * (len(lasted) != 1)}"


def _reviewed(review: Facts | None) -> str:
    if review is None:
        return ""
    note = f": {one_line(review['note'])}" if review["note"] else ""
    return f"{'accepted' if review['accepted'] else 'rejected'} by {one_line(review['by']) or 'somebody'}{note}"


def _ablated(part: Facts | None) -> str:
    return one_line(Part(**{name: value for name, value in part.items() if name != "carries"}).words) if part else ""


def _trials(trials: Sequence[Facts]) -> list[Column]:
    def times(key: str) -> list[str]:
        return [duration(trial[key]) if trial["outcome"] == "ok" and trial[key] is not None else "" for trial in trials]

    return [
        Column("trial", [trial["purpose"] for trial in trials], left=True),
        Column("seed", [str(trial["seed"]) for trial in trials], rank=2),
        Column("outcome", [outcome(trial["outcome"], trial["result"]) for trial in trials], left=True),
        Column("val_bpb", [_number(trial["val_bpb"]) for trial in trials]),
        Column("holdout", [_number(trial["result"].get("holdout_bpb")) for trial in trials], rank=3),
        Column("training", times("train_seconds"), rank=4),
        Column("setup", times("setup_seconds"), rank=6),
        Column("scoring", times("score_seconds"), rank=5),
        Column("grade", [trial["grade"] or "" for trial in trials], rank=1, left=True),
        Column("", [one_line(trial["result"].get("reason"))[:80] for trial in trials], rank=7, left=True),
    ]


def _print_curves(found: Facts, parent: Facts | None, console: Console) -> None:
    own, other = (losses(_result(each).get("curve") or []) if each else [] for each in (found, parent))
    width = min(WIDTH, console.width - AXIS - 1) if console.is_terminal else WIDTH
    drawn = chart(own, other, width, HEIGHT)
    if not drawn:
        return
    beside = f", and of experiment {parent['n']} in points" if parent and other else ""
    title = f"training loss over {duration(max(x for x, _ in (*own, *other)))}{beside}, as train.py says"
    console.print()
    console.print(Text(title, "bold"), soft_wrap=not console.is_terminal)
    print_lines(drawn, console)


def _result(found: Facts) -> Facts:
    """What the last trial that ended well gave, else the last one."""
    ended = [trial["result"] for trial in _judging(found) if trial["result"].get("layers")]
    good = [result for result in ended if result.get("outcome") == "ok"]
    last: Facts = (good or ended or [{}])[-1]
    return last


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
