"""Two sessions side by side: one program.md against another, one agent against another."""

import math
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from autoresearch.analysis import compare
from autoresearch.analysis.compare import Z, proportion
from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.ledger import Session
from autoresearch.report import curves, tables
from autoresearch.report.blocks import Block, Figure, Heading, Link, Table, Words, safe
from autoresearch.report.chart import scored_keeps
from autoresearch.report.curves import Curve
from autoresearch.report.format import between, duration
from autoresearch.web.site import address

HOUR = 3600.0


def choose(sessions: Sequence[Session], a: str | None, b: str | None) -> Iterator[Block]:
    """Which two: links that replace one of them."""
    yield Heading("Side by side", 1)
    for name, chosen, other in (("first", a, b), ("second", b, a)):
        parts = [f"{name}: "]
        for session in sessions[::-1]:
            pair = (session.tag, other) if name == "first" else (other, session.tag)
            parts += [safe(session.tag, 60) if session.tag == chosen else Link(session.tag, to(*pair)), "  "]
        yield Words(parts, "filter")


def to(a: str | None, b: str | None) -> str:
    """The address of a comparison."""
    return "/".join(["/compare", *(quote(tag or "-", safe="") for tag in (a, b))])


def blocks(a: SessionSummary, b: SessionSummary) -> Iterator[Block]:
    """Whether they may be compared, what each was worth, and how they went."""
    for line in compare.obstacles(a.session, b.session):
        yield Words([f"Not the same: {safe(line, 200)}. Their scores are of different things."], "bad")
    head = ["", *(Link(night.session.tag, address(night.session.tag)) for night in (a, b)), "first less second"]
    yield Table(head, list(_rows(a, b)))
    found = [course(night) for night in (a, b)]
    yield Heading("Gain over the own base, as the search saw it")
    yield Figure(lambda href: curves.draw(found, "experiment", "change of val_bpb"), name="gains")
    yield Words(["These numbers chose what was kept, so they flatter; the honest totals do not."], "quiet")


def _rows(a: SessionSummary, b: SessionSummary) -> Iterator[list[str]]:
    totals, rates = compare.totals(a, b), compare.keep_rates(a, b)
    yield [
        "honest total",
        *(_total(night) for night in (a, b)),
        "-" if totals is None else f"{totals.mean:+.4f}, {between(totals)}",
    ]
    yield ["kept", *(_kept(night) for night in (a, b)), _points(rates)]
    for name, value in FACTS.items():
        yield [name, *(value(night) for night in (a, b)), ""]
    yield ["program.md", *(_programs(night) for night in (a, b)), ""]


def _total(night: SessionSummary) -> str:
    return "not measured" if night.total is None else f"{night.total.val.mean:+.4f}, {between(night.total.val)}"


def _kept(night: SessionSummary) -> str:
    kept, tried = len(night.keeps), len(night.tried)
    if not tried:
        return "-"
    low, high = proportion(kept, tried)
    rate = f"{kept} of {tried}: {tables.percent(kept / tried)}"
    return f"{rate}, 95 % between {tables.percent(low)} and {tables.percent(high)}"


def _points(rate: Interval) -> str:
    points = Interval(100 * rate.mean, 100 * rate.low, 100 * rate.high)
    return f"{points.mean:+.0f} points, {between(points, '+.0f')}"


def _score(night: SessionSummary, name: str) -> str:
    value = night.status[name]
    return "-" if value is None else f"{value:.4f}"


def _best(night: SessionSummary) -> str:
    """With the interval that follows from the noise of one trial and how many judged it."""
    status = night.status
    fresh = [
        trial for trial in night.trials.get(status["best"], []) if trial.outcome == "ok" and trial.purpose != "screen"
    ]
    if not fresh or not status["sigma"]:
        return _score(night, "best_bpb")
    reach = Z * status["sigma"] / math.sqrt(len(fresh))
    best = status["best_bpb"]
    return f"{best:.4f}, 95 % between {best - reach:.4f} and {best + reach:.4f}"


def _hours(night: SessionSummary) -> float:
    return float(night.status["seconds"]) / HOUR


def _each(night: SessionSummary) -> str:
    cost, keeps = night.status["cost_usd"], len(night.keeps)
    return tables.money(cost / keeps) if keeps and cost is not None else "-"


FACTS = {
    "agent": lambda night: safe(night.session.agent, 60),
    "models": lambda night: ", ".join(safe(row["model"], 60) for row in night.by_model) or "-",
    "judge": lambda night: safe(night.session.judge, 20),
    "base": lambda night: _score(night, "base_bpb"),
    "best, as the search saw it": _best,
    "noise of one trial": lambda night: _score(night, "sigma"),
    "near misses": lambda night: str(len(night.near_misses)),
    "failed": lambda night: str(len(night.failures) + len(night.suspects)),
    "time": lambda night: duration(HOUR * _hours(night)),
    "experiments an hour": lambda night: f"{len(night.tried) / _hours(night):.1f}" if _hours(night) else "-",
    "money": lambda night: tables.money(night.status["cost_usd"]),
    "money for each keep": _each,
}


def _programs(night: SessionSummary) -> str:
    return ", ".join(row["program"][:8] for row in night.by_program) or "-"


def course(night: SessionSummary) -> Curve:
    """The running best less the base, to the last experiment."""
    kept = scored_keeps(night.rows)
    points = [(float(row["n"]), row["val_bpb"] - kept[0]["val_bpb"]) for row in kept]
    last = float(night.rows[-1]["n"]) if night.rows else 0.0
    return Curve(night.session.tag, [*points, (last, points[-1][1])] if points else [], steps=True)
