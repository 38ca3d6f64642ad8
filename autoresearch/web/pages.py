"""Lay out each served page as blocks."""

from collections.abc import Iterator, Sequence

from autoresearch import ledger
from autoresearch.analysis.experiment_details import ExperimentDetails
from autoresearch.analysis.summary import SessionSummary
from autoresearch.ledger import ExperimentRow, Ledger
from autoresearch.report import experiment as experiment_page
from autoresearch.report import experiment_table, report
from autoresearch.report.blocks import (
    Block,
    Code,
    Curve,
    Curves,
    Figure,
    Fold,
    Heading,
    Link,
    Paragraph,
    Ref,
    Table,
    safe,
)
from autoresearch.report.format import duration, moment, trial_words
from autoresearch.report.status import facts
from autoresearch.session.live import LiveTrial
from autoresearch.web import downloads, listing, overlay
from autoresearch.web.site import address, tail

LIVE_ACROSS = "share of the budget"
LATEST = 8  # experiments on the page of a session that runs


def sessions(store: Ledger, now: float) -> Iterator[Block]:
    """Lay out all sessions, one a row, the newest first."""
    found = store.sessions()[::-1]
    metrics = {session.metric.name for session in found}
    is_same = len(metrics) == 1
    yield Heading("Sessions", 1)
    names = ("state", "agent", "budget", "experiments", "kept", "score", "honest total", "money")
    rows = []
    for session in found:
        status = ledger.status(store, session, now)
        known = facts(status)
        if not is_same:
            known["score"] = f"{status.metric.name} {known['score']}"
        started = "-" if session.started is None else moment(session.started, now)
        rows.append([Link(session.tag, address(session.tag)), *(known[name] for name in names), started])
    head = [next(iter(metrics)) if name == "score" and is_same else name for name in names]
    yield Table(["session", *head, "started"], rows, frozenset({"experiments", "kept"}))
    if len(found) > 1:
        yield Paragraph([Link("compare two sessions", "/compare")])


def session(summary: SessionSummary, running: LiveTrial | None, incumbent: Curve | None, now: float) -> Iterator[Block]:
    """Lay out the report of a session, and what runs now if it has not ended."""
    title, *others = report.layout(summary)
    yield title
    if summary.status.state != "ended":
        yield from _now(summary, running, incumbent, now)
    for block in others:
        yield block
        if isinstance(block, Figure) and block.name:
            yield downloads.link(address(summary.session.tag, "experiments.csv"))


def _now(summary: SessionSummary, running: LiveTrial | None, incumbent: Curve | None, now: float) -> Iterator[Block]:
    status, trial = summary.status, summary.status.trial
    until = "" if status.deadline is None else f", until {moment(status.deadline, now)}"
    yield Paragraph([f"{status.state}{until}"], "large")
    if trial is not None:
        more = f", and {trial.others} more on other slots" if trial.others else ""
        found = running if running is not None and running.n == trial.n else None
        arm = f", of {found.arm}" if found and found.arm else ""
        length = f"{arm}, {trial_words(trial.purpose)}, for {duration(now - trial.started)}{more}."
        yield Paragraph(["Experiment ", Ref(trial.n), length])
        if found is not None:
            if found.tokens_per_second:
                yield Paragraph([f"{found.tokens_per_second:,.0f} tokens a second, as train.py reports them."], "quiet")
            yield Curves(live_curves(found, incumbent), LIVE_ACROSS, "loss", "live")
    yield Heading("The last experiments", 3)
    latest = [row for row in reversed(summary.rows) if not row.unmeasured][:LATEST]
    yield experiment_table.table(latest, ("n", "verdict", "change", "sigmas", "what"), 160)


def live_curves(running: LiveTrial, incumbent: Curve | None) -> list[Curve]:
    """Return the curve of the running trial, and that of the incumbent for comparison."""
    own = Curve(f"experiment {running.n}, {running.purpose}, {100 * running.fraction:.0f} %", running.curve)
    if incumbent is None or not incumbent.points:
        return [own]
    end = incumbent.points[-1][0] or 1.0  # of its budget
    return [own, Curve(incumbent.name, [(x / end, y) for x, y in incumbent.points])]


def experiments(rows: Sequence[ExperimentRow], tag: str, choice: listing.Choice) -> Iterator[Block]:
    yield Heading(f"Experiments of {safe(tag, 60)}", 1)
    yield from listing.layout(rows, choice)
    yield downloads.link(address(tag, "experiments.csv"))


def experiment(tag: str, details: ExperimentDetails, last: int) -> Iterator[Block]:
    """Lay out one experiment with links to others, and the output of its trials."""
    n = details.n
    before = [Link(f"← {n - 1}", address(tag, n - 1)), "  "] if n > 0 else []
    after = [Link(f"{n + 1} →", address(tag, n + 1)), "  "] if n < last else []
    origin = details.experiment.parent
    parent = [] if origin is None else ["derived from ", Ref(origin)]
    yield Paragraph([*before, *after, *parent], "filter")
    for block in experiment_page.layout(details):
        yield block
        if isinstance(block, Curves):
            yield _links_of_curves(tag, details)
    if not details.patch:
        yield Paragraph(["No change: this is the base." if n == 0 else "The file of the change is missing."], "quiet")
    for k, trial in enumerate(details.judging_trials):
        if output := tail(details.files.trial(k, ".log")):
            yield Fold(f"output of trial {k} ({trial.purpose})", [Code(output)])


def _links_of_curves(tag: str, details: ExperimentDetails) -> Paragraph:
    """Link to the numbers of the curves, and to the page where others are chosen."""
    parent = details.baseline.good_trials[-1:] if details.baseline else []
    shown = [*details.judging_trials[-experiment_page.OWN_CURVES :], *parent]
    chosen = overlay.TrialChoice(tag, tuple(trial.id for trial in shown if trial.losses))
    csv = Link("download as CSV", address(tag, details.n, "curves.csv"))
    return Paragraph([csv, "  ", Link("beside curves of other trials", chosen.address)], "filter")
