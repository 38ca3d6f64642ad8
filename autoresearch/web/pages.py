"""What is on each page, as blocks."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from autoresearch import ledger
from autoresearch.analysis import ablate
from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.report import curves, report, tables
from autoresearch.report.blocks import (
    Block,
    Figure,
    Fold,
    Heading,
    Link,
    Patch,
    Ref,
    Table,
    Tiles,
    Verbatim,
    Words,
    safe,
)
from autoresearch.report.curves import Curve
from autoresearch.report.format import between, change, duration, moment
from autoresearch.session.live import LiveTrial
from autoresearch.source import size
from autoresearch.web import listing
from autoresearch.web.site import Site, address, as_shares, curve, tail

Row = dict[str, Any]

LIVE_ACROSS = "share of the budget"
LATEST = 8  # experiments on the page of a session that runs
DRAWN = 4  # trials whose curves are shown together


# --- all sessions


def sessions(store: Ledger, now: float) -> Iterator[Block]:
    """One line each, the newest first."""
    found = store.sessions()[::-1]
    yield Heading("Sessions", 1)
    head = ["session", "state", "agent", "budget", "experiments", "kept", "val_bpb", "honest total", "money", "begun"]
    yield Table(head, [_session(store, session, now) for session in found], frozenset(head[4:6]))
    if len(found) > 1:
        yield Words([Link("two of them side by side", "/compare")])


def _session(store: Ledger, session: Session, now: float) -> list[str]:
    status = ledger.status(store, session, now)
    total = status["total"]
    interval = Interval(total["mean"], total["low"], total["high"]) if total else None
    worth = f"{interval.mean:+.4f}, {between(interval)}" if interval else "not measured"
    scores = [status["base_bpb"], *([status["best_bpb"]] if status["best"] else [])]
    score = " → ".join("-" if each is None else f"{each:.4f}" for each in scores)
    begun = "-" if session.started is None else moment(session.started, now)
    counts = [str(status["experiments"]), str(status["kept"])]
    who = [safe(session.agent, 40), safe(status["budget"] or "-", 20)]
    return [
        Link(session.tag, address(session.tag)),
        status["state"],
        *who,
        *counts,
        score,
        worth,
        tables.money(status["cost_usd"]),
        begun,
    ]


# --- one session


def session(night: SessionSummary, running: LiveTrial | None, incumbent: Curve | None, now: float) -> Iterator[Block]:
    """The report, and before it what happens now."""
    first, *others = report.blocks(night)
    yield first
    if night.status["state"] != "ended":
        yield from _now(night, running, incumbent, now)
    yield from others


def _now(night: SessionSummary, running: LiveTrial | None, incumbent: Curve | None, now: float) -> Iterator[Block]:
    status, trial = night.status, night.status["trial"]
    until = "" if status["deadline"] is None else f", until {moment(status['deadline'], now)}"
    yield Words([f"{status['state']}{until}"], "large")
    if trial is not None:
        more = f", and {trial['others']} more on other slots" if trial["others"] else ""
        lasts = f", {trial['purpose']} trial, for {duration(now - trial['started'])}{more}."
        yield Words(["Experiment ", Ref(trial["n"]), lasts])
        if running is not None and running.n == trial["n"]:
            if running.tokens_per_second:
                yield Words([f"{running.tokens_per_second:,.0f} tokens a second, as train.py tells it."], "quiet")
            yield Figure(partial(_live, running, incumbent), name="live")
    yield Heading("The last experiments", 3)
    latest = night.rows[::-1][:LATEST]
    rows = [
        [Ref(row["n"]), listing.FILTERS["verdict"](row), change(row) or "-", safe(row["hypothesis"] or "", 160)]
        for row in latest
    ]
    yield Table(["n", "verdict", "change", "what"], rows, frozenset({"n", "change"}))


def _live(running: LiveTrial, incumbent: Curve | None, href: object) -> str:
    return curves.draw(live_curves(running, incumbent), LIVE_ACROSS, "loss")


def live_curves(running: LiveTrial, incumbent: Curve | None) -> list[Curve]:
    """The running trial's, and the incumbent's to compare it with."""
    shown = Curve(f"experiment {running.n}, {running.purpose}, {100 * running.fraction:.0f} %", running.curve)
    return [shown, *([as_shares(incumbent)] if incumbent else [])]


def experiments(rows: Sequence[Row], tag: str, choice: listing.Choice) -> Iterator[Block]:
    """The table of all experiments."""
    yield Heading(f"Experiments of {safe(tag, 60)}", 1)
    yield from listing.blocks(rows, choice)


# --- one experiment


def neighbours(tag: str, n: int, last: int) -> Words:
    """The way to the experiments before and after."""
    before = [Link(f"← {n - 1}", address(tag, n - 1)), "  "] if n > 0 else []
    return Words([*before, *([Link(f"{n + 1} →", address(tag, n + 1))] if n < last else [])], "filter")


def experiment(
    site: Site, store: Ledger, row: Session, found: Experiment, trials: Sequence[Trial], shown: Sequence[Curve]
) -> Iterator[Block]:
    """Hypothesis, verdict, evidence, trials, change, curves, and what its trials printed."""
    facts = vars(found)
    tone = {"keep": "large good", "suspect": "large bad", "crash": "large bad"}.get(found.verdict or "", "large")
    yield Heading(f"Experiment {found.n}", 1)
    yield Words([safe(found.hypothesis or "no hypothesis")])
    near = " (a near miss)" if found.near_miss else ""
    yield Words([f"{found.verdict}{near}: {safe(found.reason or '-', 600)}" if found.verdict else found.state], tone)
    if (said := ledger.reviews(store, row.id).get(found.n)) is not None:
        yield Words([tables.reviewed(said)], "good" if said.accepted else "bad")
    yield Tiles(list(_tiles(facts)))
    yield Words(list(_origin(found)))
    if (part := ablate.part_of(store.events(row.id, kind="ablation"), found.n)) is not None:
        yield Words([f"Taken out of the final version: {safe(part.words, 300)}."])
    yield Heading("Trials")
    yield tables.trials(trials, ledger.beside(store, row, [found.n])[found.n])
    patch = site.files(row, found.n).patch
    yield Heading("The change")
    missing = "None: this is the base." if found.n == 0 else "It is not there."
    yield Patch(patch.read_text(errors="replace")) if patch.is_file() else Words([missing])
    if any(len(each.points) > 1 for each in shown):
        yield Heading("Loss, as train.py tells it")
        yield Figure(lambda href: curves.draw(shown, "seconds of training", "loss"), name="curves")
    for k, trial in enumerate(trials):
        if printed := tail(site.files(row, found.n).trial(k, ".log")):
            yield Fold(f"what trial {k} ({trial.purpose}) printed", [Patch(printed)])


def _tiles(facts: Row) -> Iterator[tuple[str, str]]:
    yield "val_bpb", "-" if facts["val_bpb"] is None else f"{facts['val_bpb']:.6f}"
    yield "change", change(facts) or "-"
    yield "expected", tables.number(facts["predicted"])
    yield "odds that it is better", tables.percent(facts["p_gain"])
    yield "lines", "-" if facts["lines_added"] is None else f"+{facts['lines_added']} -{facts['lines_removed']}"
    code = size.size_or_none(facts["text"])
    yield "code", f"{code.lines:,} lines, {code.tokens:,} tokens" if code else "-"
    yield "category", safe(facts["category"] or "-", 30)
    yield "money", "-" if facts["cost_usd"] is None else tables.money(facts["cost_usd"])


def _origin(found: Experiment) -> Iterator[str]:
    if found.parent is not None:
        yield from ("Derived from experiment ", Ref(found.parent), ". ")
    if found.agent:
        asked = f", asked to {safe(found.mode, 20)}" if found.mode else ""
        yield f"By {safe(' '.join(filter(None, (found.agent, found.model))), 100)}{asked}. "
    yield from ("Commit ", Verbatim(found.sha or "-"))
    if found.program_hash:
        yield from (", program.md ", Verbatim(found.program_hash[:8]))


def experiment_curves(trials: Sequence[Trial], parent: Sequence[Trial], n: int | None) -> list[Curve]:
    """Those of its newest trials, and one of what it was derived from."""
    own = [curve(trial) for trial in trials][-DRAWN + 1 :]
    return [*own, *[curve(trial, f"experiment {n}") for trial in parent if trial.outcome == "ok"][-1:]]
