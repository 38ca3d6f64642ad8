"""Where a session stands, on one screen."""

import time
from typing import Any

from rich.console import Console

from autoresearch.report.format import duration, moment, one_line, shares
from autoresearch.terminal.pairs import print_pairs

STATES = {
    "interrupted": "interrupted (its program is gone); `autoresearch run` goes on",
    "paused": "paused; `autoresearch unpause` lets it go on",
}


def print_status(status: dict[str, Any], console: Console, now: float | None = None) -> None:
    """`name  value` lines from what `status --json` shows; suspects come first."""
    print_pairs(lines(status, time.time() if now is None else now), console)


def lines(status: dict[str, Any], now: float) -> dict[str, str]:
    """What there is to say, in order."""
    suspects = status["verdicts"].get("suspect", 0)
    found = {
        "suspects": f"{suspects}: look at them first, `autoresearch log` names them" if suspects else "",
        "session": f"{status['tag']} on branch {status['branch']}",
        "state": _state(status),
        "now": _trial(status["trial"], now),
        "setup": f"agent {status['agent']}, judge {status['judge']}, budget {status['budget'] or '-'}",
        "started": _moment(status["started"], now),
        "deadline": _moment(status["deadline"], now) if status["state"] != "ended" else "",
        "ended": _moment(status["ended"], now),
        "experiments": _experiments(status),
        "val_bpb": _score(status),
        "total": _total(status),
        "reviews": _reviews(status),
        "machine": _machine(status, now),
        "grade": _grade(status["grade"]),
        "cost": _cost(status["cost_usd"]),
        "time": _time(status),
    }
    return {name: value for name, value in found.items() if value}


def _state(status: dict[str, Any]) -> str:
    if status["state"] == "ended":
        why = f": {one_line(status['error'])}" if status["error"] else ""
        return f"ended: {status['stop_reason']}{why}"
    return STATES.get(status["state"]) or str(status["state"])


def _trial(trial: dict[str, Any] | None, now: float) -> str:
    if trial is None:
        return ""
    more = f", and {trial['others']} more" if trial["others"] else ""
    return f"experiment {trial['n']}, {trial['purpose']} trial, for {duration(now - trial['started'])}{more}"


def _moment(at: float | None, now: float) -> str:
    return "" if at is None else moment(at, now)


def _experiments(status: dict[str, Any]) -> str:
    parts = [f"{count} {verdict}" for verdict, count in sorted(status["verdicts"].items(), key=lambda item: -item[1])]
    simpler = f" ({status['simpler']} of the kept: less code for the same score)" if status["simpler"] else ""
    return str(status["experiments"]) + (f": {', '.join(parts)}{simpler}" if parts else "")


def _reviews(status: dict[str, Any]) -> str:
    """Once there is something to take home: what a person has said of it."""
    said, kept = status["reviews"], status["kept"]
    if not kept or not (status["state"] == "ended" or any(said.values())):
        return ""
    words = ", ".join(f"{count} {word}" for word, count in said.items() if count) or "none"
    more = "" if sum(said.values()) >= kept else ": `autoresearch review N`"
    return f"{words} of {kept} kept{more}"


def _machine(status: dict[str, Any], now: float) -> str:
    """What the machine did to the trials."""
    drift, lost = status["drift"], status["lost"]
    changed = f"{moment(drift['at'], now)} {one_line(drift['text'])}" if drift else ""
    trials = f"{lost} trial{'s' * (lost != 1)} lost, and run again" if lost else ""
    return "; ".join(filter(None, (changed, trials)))


def _score(status: dict[str, Any]) -> str:
    base, best, sigma = status["base_bpb"], status["best_bpb"], status["sigma"]
    if base is None:
        return ""
    noise = f", sigma {sigma:.4f}" if sigma else ""
    if best is None or not status["best"]:
        return f"{base:.4f}, the base{noise}"
    gain = best - base
    where = f"experiment {status['best']}, {status['best_sha'][:7]}"
    return f"{base:.4f} -> {best:.4f} ({gain:+.4f} as the search saw it{noise}), {where}"


def _total(status: dict[str, Any]) -> str:
    found = status["total"]
    if found is None:
        return "not measured yet: `autoresearch total`" if status["state"] == "ended" and status["best"] else ""
    words = f"{found['mean']:+.4f}, 95 % between {found['low']:+.4f} and {found['high']:+.4f}"
    return f"{words}: base against {found['final']}, measured again"


def _grade(grade: str | None) -> str:
    return "WEAK: not everything is protected, `autoresearch doctor` says what" if grade == "WEAK" else grade or ""


def _time(status: dict[str, Any]) -> str:
    several = f" on {status['slots']} slots" if status["slots"] > 1 else ""
    return f"{duration(status['seconds'])}{several}: {shares(status['time_split'])}".removesuffix(": ")


def _cost(dollars: float | None) -> str:
    return "unknown: the model's price is" if dollars is None else f"${dollars:.2f}" if dollars else ""
