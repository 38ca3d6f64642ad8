"""Lay out two sessions side by side."""

import math
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from autoresearch.analysis import compare
from autoresearch.analysis.proportion import Z, proportion
from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.errors import require
from autoresearch.ledger import Session
from autoresearch.report.blocks import Block, Curve, Curves, Heading, Link, Paragraph, Table, Verbatim, safe
from autoresearch.report.chart import scored_keeps
from autoresearch.report.format import HOUR, between, dollars, percent
from autoresearch.report.status import facts as status_facts
from autoresearch.web import downloads
from autoresearch.web.site import address

ROWS = (
    *("honest total", "kept", "agent", "models", "judge", "base", "best, as the search saw it", "noise of one trial"),
    *("near misses", "failed", "time", "experiments an hour", "money", "money for each keep", "program.md"),
)


def choose(sessions: Sequence[Session], a: str | None, b: str | None) -> Iterator[Block]:
    """Lay out the choice of two sessions: links that replace one of them."""
    yield Heading("Side by side", 1)
    if len(sessions) < 2:
        yield from _too_few(sessions)
        return
    tags = [session.tag for session in sessions]
    for unknown in dict.fromkeys(tag for tag in (a, b) if tag is not None and tag not in tags):
        yield Paragraph([f"There is no session {safe(unknown, 60)}. Choose from these:"], "bad")
    if a == b and a in tags:
        yield Paragraph([f"Both are {safe(a or '', 60)}: choose another session for one of them."], "bad")
    for name, chosen, other in (("first", a, b), ("second", b, a)):
        parts = [f"{name}: "]
        for session in [each for each in sessions[::-1] if each.tag != other]:
            pair = (session.tag, other) if name == "first" else (other, session.tag)
            parts += [safe(session.tag, 60) if session.tag == chosen else Link(session.tag, to(*pair)), "  "]
        yield Paragraph(parts, "filter")


def _too_few(sessions: Sequence[Session]) -> Iterator[Block]:
    """Say that there is nothing to compare with."""
    start = Verbatim("autoresearch run --tag NAME")
    if sessions:
        only = Link(sessions[0].tag, address(sessions[0].tag))
        yield Paragraph(["There is only one session, ", only, ". Start another to compare it with: ", start])
    else:
        yield Paragraph(["There is no session yet. Start one: ", start])


def to(a: str | None, b: str | None) -> str:
    return "/".join(["/compare", *(quote(tag or "-", safe="") for tag in (a, b))])


def layout(a: SessionSummary, b: SessionSummary) -> Iterator[Block]:
    """Lay out whether two sessions can be compared, what each was worth, and how they went."""
    for difference in compare.obstacles(a.session, b.session):
        yield Paragraph([f"They differ: {safe(difference, 200)}. Their scores cannot be compared."], "bad")
    head = ["", *(Link(each.session.tag, address(each.session.tag)) for each in (a, b)), "first minus second"]
    yield Table(head, list(_rows(a, b)))
    yield Heading("Change against the own base, as the search saw it")
    yield Curves([course(a), course(b)], "experiment", f"change of {a.session.metric.name}", "gains")
    yield downloads.link(f"{to(a.session.tag, b.session.tag)}/gains.csv")
    yield Paragraph(
        ["The keeps were chosen by these numbers, so they are too good; the honest totals are not."], "quiet"
    )


def _rows(a: SessionSummary, b: SessionSummary) -> Iterator[list[str]]:
    totals, rates = compare.totals(a, b), compare.keep_rates(a, b)
    change = a.session.metric.change
    points = Interval(100 * rates.mean, 100 * rates.low, 100 * rates.high)
    differences = {
        "honest total": "-" if totals is None else f"{change(totals.mean)}, {between(totals, change)}",
        "kept": f"{points.mean:+.0f} points, {between(points, '{:+.0f}'.format)}",
    }
    ours, theirs = facts(a), facts(b)
    for name in ROWS:
        yield [name, ours[name], theirs[name], differences.get(name, "")]


def facts(summary: SessionSummary) -> dict[str, str]:
    """Return single facts of a session by name."""
    status, kept, tried = summary.status, len(summary.keeps), len(summary.candidates)
    low, high = map(percent, proportion(kept, tried))
    cost, hours = status.cost_usd, status.seconds / HOUR
    return status_facts(status) | {
        "kept": f"{kept} of {tried}: {percent(kept / tried)}, 95 % between {low} and {high}" if tried else "-",
        "models": ", ".join(safe(group.key, 60) for group in summary.by_model) or "-",
        "best, as the search saw it": _best(summary),
        "near misses": str(summary.near_miss_count),
        "failed": str(len(summary.failures) + len(summary.suspects)),
        "experiments an hour": f"{tried / hours:.1f}" if hours else "-",
        "money for each keep": dollars(cost / kept) if kept and cost is not None else "-",
        "program.md": ", ".join(group.key[:8] for group in summary.by_program) or "-",
    }


def _best(summary: SessionSummary) -> str:
    """Return the best score with its interval by the noise and the number of fresh trials."""
    best, sigma = summary.status.best_bpb, summary.status.sigma
    details = summary.details.get(summary.status.best or 0)
    fresh = [trial for trial in details.good_trials if trial.purpose != "screen"] if details else []
    metric = summary.session.metric
    if best is None or not fresh or not sigma:
        return "-" if best is None else metric.score(best)
    low, high = map(metric.score, metric.band(best, Z * sigma / math.sqrt(len(fresh))))
    return f"{metric.score(best)}, 95 % between {low} and {high}"


def course(summary: SessionSummary) -> Curve:
    """Return the running best minus the base, to the last experiment."""
    keeps = scored_keeps(summary.rows)
    points = [(float(row.n), require(row.val_bpb) - require(keeps[0].val_bpb)) for row in keeps]
    last = float(summary.rows[-1].n) if summary.rows else 0.0
    return Curve(summary.session.tag, [*points, (last, points[-1][1])] if points else [], steps=True)
