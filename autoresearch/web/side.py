"""Lay out two sessions side by side."""

import math
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from autoresearch.analysis import compare
from autoresearch.analysis.compare import Z, proportion
from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.errors import require
from autoresearch.ledger import Session
from autoresearch.report.blocks import Block, Curve, Curves, Heading, Link, Paragraph, Table, safe
from autoresearch.report.chart import scored_keeps
from autoresearch.report.format import HOUR, between, dollars, duration, percent
from autoresearch.web.site import address


def choose(sessions: Sequence[Session], a: str | None, b: str | None) -> Iterator[Block]:
    """Lay out the choice of two sessions: links that replace one of them."""
    yield Heading("Side by side", 1)
    for name, chosen, other in (("first", a, b), ("second", b, a)):
        parts = [f"{name}: "]
        for session in sessions[::-1]:
            pair = (session.tag, other) if name == "first" else (other, session.tag)
            parts += [safe(session.tag, 60) if session.tag == chosen else Link(session.tag, to(*pair)), "  "]
        yield Paragraph(parts, "filter")


def to(a: str | None, b: str | None) -> str:
    """Return the address of a comparison."""
    return "/".join(["/compare", *(quote(tag or "-", safe="") for tag in (a, b))])


def layout(a: SessionSummary, b: SessionSummary) -> Iterator[Block]:
    """Lay out whether two sessions can be compared, what each was worth, and how they went."""
    for difference in compare.obstacles(a.session, b.session):
        yield Paragraph([f"Not the same: {safe(difference, 200)}. Their scores cannot be compared."], "bad")
    head = ["", *(Link(each.session.tag, address(each.session.tag)) for each in (a, b)), "first minus second"]
    yield Table(head, list(_rows(a, b)))
    yield Heading("Change against the own base, as the search saw it")
    yield Curves([course(a), course(b)], "experiment", "change of val_bpb", "gains")
    yield Paragraph(
        ["The keeps were chosen by these numbers, so they are too good; the honest totals are not."], "quiet"
    )


def _rows(a: SessionSummary, b: SessionSummary) -> Iterator[list[str]]:
    totals = compare.totals(a, b)
    difference = "-" if totals is None else f"{totals.mean:+.4f}, {between(totals)}"
    yield ["honest total", _total(a), _total(b), difference]
    yield ["kept", _keep_share(a), _keep_share(b), _points(compare.keep_rates(a, b))]
    for name, value in FACTS.items():
        yield [name, value(a), value(b), ""]


def _total(summary: SessionSummary) -> str:
    total = summary.total
    return "not measured" if total is None else f"{total.val.mean:+.4f}, {between(total.val)}"


def _keep_share(summary: SessionSummary) -> str:
    kept, tried = len(summary.keeps), len(summary.candidates)
    if not tried:
        return "-"
    low, high = proportion(kept, tried)
    return f"{kept} of {tried}: {percent(kept / tried)}, 95 % between {percent(low)} and {percent(high)}"


def _points(rate: Interval) -> str:
    points = Interval(100 * rate.mean, 100 * rate.low, 100 * rate.high)
    return f"{points.mean:+.0f} points, {between(points, '+.0f')}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _best(summary: SessionSummary) -> str:
    """Return the best score with its interval by the noise and the number of fresh trials."""
    best, sigma = summary.status.best_bpb, summary.status.sigma
    details = summary.details.get(summary.status.best or 0)
    fresh = [trial for trial in details.good_trials if trial.purpose != "screen"] if details else []
    if best is None or not fresh or not sigma:
        return _score(best)
    reach = Z * sigma / math.sqrt(len(fresh))
    return f"{best:.4f}, 95 % between {best - reach:.4f} and {best + reach:.4f}"


def _pace(summary: SessionSummary) -> str:
    hours = summary.status.seconds / HOUR
    return f"{len(summary.candidates) / hours:.1f}" if hours else "-"


def _cost_per_keep(summary: SessionSummary) -> str:
    cost, keeps = summary.status.cost_usd, len(summary.keeps)
    return dollars(cost / keeps) if keeps and cost is not None else "-"


FACTS: dict[str, Callable[[SessionSummary], str]] = {
    "agent": lambda summary: safe(summary.session.agent, 60),
    "models": lambda summary: ", ".join(safe(group.key, 60) for group in summary.by_model) or "-",
    "judge": lambda summary: safe(summary.session.judge, 20),
    "base": lambda summary: _score(summary.status.base_bpb),
    "best, as the search saw it": _best,
    "noise of one trial": lambda summary: _score(summary.status.sigma),
    "near misses": lambda summary: str(len(summary.near_misses)),
    "failed": lambda summary: str(len(summary.failures) + len(summary.suspects)),
    "time": lambda summary: duration(summary.status.seconds),
    "experiments an hour": _pace,
    "money": lambda summary: dollars(summary.status.cost_usd),
    "money for each keep": _cost_per_keep,
    "program.md": lambda summary: ", ".join(group.key[:8] for group in summary.by_program) or "-",
}


def course(summary: SessionSummary) -> Curve:
    """Return the running best minus the base, to the last experiment."""
    keeps = scored_keeps(summary.rows)
    points = [(float(row.n), require(row.val_bpb) - require(keeps[0].val_bpb)) for row in keeps]
    last = float(summary.rows[-1].n) if summary.rows else 0.0
    return Curve(summary.session.tag, [*points, (last, points[-1][1])] if points else [], steps=True)
