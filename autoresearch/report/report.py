"""The report of a session: what happened, whether to believe it, and what to look at next, as a list of blocks."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from autoresearch.analysis import advice
from autoresearch.analysis.summary import OTHERS, SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.report import chart, kept, tables, tree
from autoresearch.report.blocks import Block, Figure, Fold, Heading, Patch, Table, Tiles, Verbatim, Words, safe
from autoresearch.report.format import between, change, duration

Row = dict[str, Any]

TIMES = {
    "train": "training",
    "score": "scoring",
    "setup": "starting trials",
    "agent_wait": "waiting for the agent",
    "total": "the honest total",
}


def title(night: SessionSummary) -> str:
    """What the page is called."""
    return f"autoresearch: {night.session.tag}"


def blocks(night: SessionSummary) -> list[Block]:
    """The whole report, suspects first."""
    return [block for section in SECTIONS for block in section(night)]


# --- the sections


def _suspects(night: SessionSummary) -> Iterator[Block]:
    if not night.suspects:
        return
    yield Heading("Suspects")
    yield Words(
        [
            f"{_count(night.suspects, 'experiment')} gave scores that could not be confirmed. Read them before anything else."
        ],
        "bad",
    )
    rows = [[tables.n(row), tables.what(row), tables.why(row)] for row in night.suspects[-OTHERS:]]
    yield Table(["n", "what", "why"], rows, frozenset("n"))
    for row in night.suspects[-OTHERS:]:
        if night.patches.get(row["n"]):
            yield Fold(f"the change of experiment {row['n']}", [Patch(night.patches[row["n"]])])


def _headline(night: SessionSummary) -> Iterator[Block]:
    total, status = night.total, night.status
    if total is not None:
        yield Words([f"{total.val.mean:+.4f} bits per byte, {between(total.val)}"], f"large {_tone(total.val)}")
        yield Words(
            [
                f"The honest total: experiment {total.final} against the base, {total.pairs} pairs of trials on fresh seeds."
            ]
        )
        yield Words(
            [f"On the holdout text, which nothing was chosen by: {total.holdout.mean:+.4f}, {between(total.holdout)}."]
        )
        yield from _doubts(night)
    elif night.keeps:
        yield Words(["The honest total is not measured yet:", " ", Verbatim("autoresearch total")], "large")
    else:
        going = status["state"] in ("running", "paused")
        over = "Nothing was kept: the base stands." if chart.scored_keeps(night.rows) else "Nothing was measured."
        yield Words(["Nothing is kept yet." if going else over], "large")
    if status["error"]:
        yield Words([f"It ended with an error: {safe(status['error'], 600)}"], "bad")
    if night.keeps and status["base_bpb"] is not None:
        gain = status["best_bpb"] - status["base_bpb"]
        words = f"The search itself saw {status['base_bpb']:.4f} become {status['best_bpb']:.4f} ({gain:+.4f})."
        yield Words(
            [f"{words} It chose what it kept by these numbers, so they flatter; the honest total does not."], "quiet"
        )
    yield Tiles(list(_tiles(night)))


def _doubts(night: SessionSummary) -> Iterator[Block]:
    """What stands between the honest total and the reader."""
    total = night.total
    if total is not None and night.keeps and night.keeps[-1]["n"] != total.final:
        latest = night.keeps[-1]["n"]
        yield Words(
            [f"Experiment {latest} was kept after that and is not in it:", " ", Verbatim("autoresearch total")], "bad"
        )
    if night.totals > 1:
        yield Words([f"It was measured {night.totals} times; this is the newest."], "quiet")


def _tiles(night: SessionSummary) -> Iterator[tuple[str, str]]:
    status = night.status
    yield "experiments", str(status["experiments"])
    yield "kept", str(status["kept"]) + (f", {status['simpler']} less code" if status["simpler"] else "")
    yield "near misses", str(len(night.near_misses))
    yield "failed", str(len(night.failures) + len(night.suspects))
    yield "noise of one trial", "-" if status["sigma"] is None else f"{status['sigma']:.4f}"
    yield "time", duration(status["seconds"])
    yield "money", tables.money(status["cost_usd"])
    yield "protection", status["grade"] or "-"


def _progress(night: SessionSummary) -> Iterator[Block]:
    if not chart.scored_keeps(night.rows):
        return
    yield Heading("Progress")
    kept = ", ".join(f"{row['n']} ({row['val_bpb']:.4f})" for row in night.keeps) or "none"
    draw = partial(chart.progress, night.rows, night.status["sigma"])
    yield Figure(draw, f"Each experiment is a dot in report.html. Kept: {kept}.", "progress")
    edges = "What lies above the picture is on its upper edge, failures are on its lower one."
    yield Words([f"{edges} A discard is mostly a single draw: low ones are mostly luck."], "quiet")


def _spent(night: SessionSummary) -> Iterator[Block]:
    split = sorted(night.status["time_split"].items(), key=lambda item: -item[1])
    whole = sum(night.status["time_split"].values()) or 1.0
    yield Heading("Where the night went")
    yield Words([_course(night)])
    named = [(TIMES.get(name, name), seconds) for name, seconds in split if seconds]
    yield Figure(lambda href: chart.shares(named))
    rows = [[name, duration(seconds), tables.percent(seconds / whole)] for name, seconds in named]
    yield Table(["", "time", "share"], rows, frozenset({"time", "share"}))
    if (slots := night.status["slots"]) > 1:
        clock = duration(night.status["seconds"])
        yield Words([f"Times are of {slots} slots together; on the clock it was {clock}."], "quiet")
    cost, keeps = night.status["cost_usd"], len(night.keeps)
    each = f", {tables.money(cost / keeps)} for each keep" if cost and keeps else ""
    yield Words([f"Money for model calls: {tables.money(cost)}{each}."])
    if night.by_model:
        yield tables.rates(night.by_model, "model", "model")
    yield from _machine(night)
    if night.notes:
        yield Words([f"You told it: {'; '.join(safe(note, 300) for note in night.notes[-OTHERS:])}"])


def _machine(night: SessionSummary) -> Iterator[Block]:
    """Where it was not the same all night long."""
    if night.drifts:
        yield Words([f"The machine changed {_times(len(night.drifts))}:"])
        newest = night.drifts[-OTHERS:]
        rows = [[f"{datetime.fromtimestamp(event.at):%H:%M}", safe(event.text, 300)] for event in newest]
        yield Table(["at", "what"], rows)
    if night.lost:
        reasons = Counter(safe(trial.result.get("reason") or "-", 100) for _, trial in night.lost)
        why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(OTHERS))
        yield Words([f"{_count(night.lost, 'trial')} did not count, and ran again: {why}."], "quiet")


def _near(night: SessionSummary) -> Iterator[Block]:
    if not night.near_misses:
        return
    yield Heading("Near misses worth another look")
    best = night.near_misses[:OTHERS]
    more = len(night.near_misses) - len(best)
    yield Words(
        [
            f"Not proven better, not clearly worse: the noise is as large as their effect.{f' {more} more have lower odds.' if more else ''}"
        ]
    )
    rows = [
        [tables.n(row), change(row), tables.percent(row["p_gain"]), str(row["trials"]), tables.what(row, 200)]
        for row in best
    ]
    yield Table(["n", "change", "odds", "trials", "what"], rows, frozenset({"n", "change", "odds", "trials"}))


def _dead_ends(night: SessionSummary) -> Iterator[Block]:
    if night.tried:
        yield Heading("What was tried, by category")
        yield tables.categories(night.by_category, night.tried)
    if night.failures:
        yield Heading("What failed", 3)
        newest = night.failures[-OTHERS:]
        rows = [[tables.n(row), row["verdict"], tables.what(row, 120), tables.why(row)] for row in newest]
        yield Table(["n", "verdict", "what", "why"], rows, frozenset("n"))
        if len(night.failures) > OTHERS:
            yield Words([f"These are the newest {OTHERS} of {len(night.failures)}."], "quiet")


def _lineage(night: SessionSummary) -> Iterator[Block]:
    if night.keeps:
        yield Heading("Lineage")
        best = night.status["best"]
        yield Figure(partial(tree.draw, night.rows, best))
        yield Fold("as a table", [tables.lineage(night.rows, best)])


def _protection(night: SessionSummary) -> Iterator[Block]:
    session = night.session
    yield Heading("Protection")
    weak = session.grade == "WEAK" or any(row["grade"] == "WEAK" for row in night.rows)
    if weak:
        text = "Grade WEAK: not everything was protected when this was measured;"
        yield Words([text, " ", Verbatim("autoresearch doctor"), " ", "says what to do."], "bad")
    rows = [[name, _value(value)] for name, value in {**session.layers, **session.identity}.items()]
    rows += [["weakness", words] for words in night.weaknesses]
    yield Fold(
        f"{session.grade or 'no grade'}: layers of the cell, and what was measured on", [Table(["", ""], rows)], weak
    )


def _programs(night: SessionSummary) -> Iterator[Block]:
    if not night.by_program:
        return
    yield Heading("program.md")
    yield tables.rates(night.by_program, "program", "version")
    if night.advice:
        words = "What the counts above suggest for the next night. Nothing applies it but you: paste it, or"
        yield Words([words, " ", Verbatim("git apply"), " ", "it."])
        yield Patch(advice.patch(night.program, night.advice, night.session.tag))


SECTIONS: tuple[Callable[[SessionSummary], Iterator[Block]], ...] = (
    lambda night: iter([Heading(title(night), 1)]),
    _suspects,
    _headline,
    _progress,
    _spent,
    kept.section,
    _near,
    _dead_ends,
    _lineage,
    _programs,
    _protection,
)


# --- words


def _course(night: SessionSummary) -> str:
    """When it ran, with what, and how it ended."""
    status = night.status
    began = (
        "not started" if status["started"] is None else f"{datetime.fromtimestamp(status['started']):%d %B %Y, %H:%M}"
    )
    ended = f", {status['state']}: {status['stop_reason']}" if status["stop_reason"] else f", {status['state']}"
    return (
        f"{began}{ended}. Agent {status['agent']}, judge {status['judge']}, budget {status['budget'] or '-'} a trial."
    )


def _tone(interval: Interval) -> str:
    return "good" if interval.high < 0 else "bad" if interval.low > 0 else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _count(rows: Sequence[object], name: str) -> str:
    return f"{len(rows)} {name}{'' if len(rows) == 1 else 's'}"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
