"""Lay out the report of a session: results, evidence, and what to look at next."""

import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from autoresearch.analysis import advice
from autoresearch.analysis.summary import OTHERS, SessionSummary
from autoresearch.ledger.early_stops import EarlyStops
from autoresearch.ledger.statements import NEAR_MISS_ODDS
from autoresearch.ledger.unmeasured import describe_unmeasured
from autoresearch.metric import EXACT, VAL_BPB
from autoresearch.report import arm_table, chart, experiment_table, kept, longer_budget, node_table, tables, tree
from autoresearch.report.blocks import Block, Code, Figure, Fold, Heading, Paragraph, Ref, Table, Tiles, Verbatim, safe
from autoresearch.report.format import between, count, dollars, duration, money, optimism, percent
from autoresearch.report.status import confirmation, describe_power, describe_target, facts, is_current

TILES = (
    "score",
    "experiments",
    "kept",
    "near misses",
    "failed",
    "never measured",
    "noise of one trial",
    "time",
    "money",
    "protection",
)
TIMES = {
    "train": "training",
    "score": "scoring",
    "setup": "starting trials",
    "agent_wait": "waiting for the agent",
    "filler": "fillers, while the agent worked",
    "total": "the honest total",
}


def title(summary: SessionSummary) -> str:
    return f"autoresearch: {summary.session.tag}"


def layout(summary: SessionSummary) -> list[Block]:
    return [block for section in SECTIONS for block in section(summary)]


# --- the sections


def _suspects(summary: SessionSummary) -> Iterator[Block]:
    if not summary.suspects:
        return
    yield Heading("Suspects")
    number = count(len(summary.suspects), "experiment")
    yield Paragraph([f"{number} gave scores that could not be confirmed. Read them before anything else."], "bad")
    if demoted := [str(row.n) for row in summary.suspects if row.found_later]:
        words = f"Had been kept: {', '.join(demoted)}. Later audits failed. What was exported before may contain them."
        yield Paragraph([words], "bad")
    newest = summary.suspects[-OTHERS:]
    yield experiment_table.table(newest, ("n", "what", "why"), 600)
    for row in newest:
        if patch := summary.details[row.n].patch:
            yield Fold(f"the change of experiment {row.n}", [Code(patch, "diff")])


def _headline(summary: SessionSummary) -> Iterator[Block]:
    total, status, metric = summary.total, summary.status, summary.status.metric
    if total is not None:
        tone = "good" if total.val.high < 0 else "bad" if total.val.low > 0 else ""
        change = metric.change
        gain = metric.with_unit(change(total.val.mean))
        yield Paragraph([f"{gain}, {between(total.val, change)}"], f"large {tone}")
        pairs = f"experiment {total.final} against the base, {total.pairs} pairs of trials on fresh seeds"
        yield Paragraph([f"The honest total: {pairs}."])
        holdout = f"{change(total.holdout.mean)}, {between(total.holdout, change)}"
        text = " text" if metric == VAL_BPB else ""
        yield Paragraph([f"On the holdout{text}, by which nothing was chosen: {holdout}."])
        yield from _doubts(summary, total.final)
    elif summary.keeps and not status.has_holdout:
        yield Paragraph(["There is no honest total: no holdout."], "large")
    elif summary.keeps and is_current(status):
        yield Paragraph(["The honest total is not measured yet:", " ", Verbatim("autoresearch total")], "large")
    elif summary.keeps:
        yield Paragraph(["The honest total was not measured."], "large")
    else:
        ended = "Nothing was kept: the base stands." if chart.scored_keeps(summary.rows) else "Nothing was measured."
        yield Paragraph(["Nothing is kept yet." if status.state in ("running", "paused") else ended], "large")
    if words := describe_target(status):
        yield Paragraph([f"The target: {words}."])
    if status.error:
        yield Paragraph([f"It ended with an error: {safe(status.error, 600)}"], "bad")
    if summary.keeps and status.base_bpb is not None and status.best_bpb is not None:
        delta = metric.difference(status.best_bpb, status.base_bpb)
        gain = f"{metric.score(status.base_bpb)} become {metric.score(status.best_bpb)} ({metric.change(delta)})"
        words = "fresh seeds may show less: it chose the keeps by these numbers"
        if total is not None and total.final == status.best:
            words = optimism(delta, total.val)
        yield Paragraph([f"The search itself saw {gain}: {words}."], "quiet")
    if power := describe_power(status):
        yield Paragraph([f"The power of this session: {power}."], "quiet")
    failed = str(len(summary.failures) + len(summary.suspects))
    score = f"{facts(status)['score']}{confirmation(status)}"
    values = facts(status) | {"score": score, "near misses": str(summary.near_miss_count), "failed": failed}
    yield Tiles([(metric.name if name == "score" else name, values[name]) for name in TILES])


def _doubts(summary: SessionSummary, final: int) -> Iterator[Block]:
    """List reservations about the honest total."""
    if summary.keeps and (latest := summary.keeps[-1].n) != final:
        words = f"Experiment {latest} was kept after that and is not in it:"
        yield Paragraph([words, " ", Verbatim("autoresearch total")], "bad")
    if summary.totals > 1:
        yield Paragraph([f"It was measured {summary.totals} times; this is the newest."], "quiet")


def _progress(summary: SessionSummary) -> Iterator[Block]:
    if not chart.scored_keeps(summary.rows):
        return
    yield Heading("Progress")
    metric = summary.status.metric
    scores = [(row.n, metric.score(row.val_bpb)) for row in summary.keeps if row.val_bpb is not None]
    keeps = ", ".join(f"{n} ({score})" for n, score in scores) or "none"
    draw = partial(chart.progress, summary.rows, summary.status.sigma)
    yield Figure(draw, f"Each experiment is a dot in report.html. Kept: {keeps}.", "progress")
    stopped = ", and so are trials that were stopped early" if any(row.stopped for row in summary.rows) else ""
    edges = f"Scores above the picture are on its upper edge{stopped}, experiments without a score on its lower one."
    if metric.goal == "max":
        edges = f"Scores below the picture, and experiments without a score, are on its lower edge{stopped}."
    dropped = describe_unmeasured(summary.rows)
    luck = f"A discard is mostly a single draw: {metric.comparative[:-2]} ones are mostly luck."
    if metric.kind == EXACT:
        luck = ""
    yield Paragraph([" ".join(filter(None, (edges, luck, dropped)))], "quiet")
    yield from _moves(summary)


def _moves(summary: SessionSummary) -> Iterator[Block]:
    """Lay out when the session left its incumbent for other versions, and when it returned."""
    newest = summary.moves[-OTHERS:]
    rows = [
        [f"{datetime.fromtimestamp(event.at):%H:%M}", event.kind, Ref(event.n or 0), safe(event.text, 300)]
        for event in newest
    ]
    if rows:
        yield Table(["at", "what", "incumbent", "why"], rows)


def _time_and_money(summary: SessionSummary) -> Iterator[Block]:
    status = summary.status
    whole = sum(status.time_split.values()) or 1.0
    yield Heading("Where the time went")
    yield Paragraph([_course(summary)])
    split = sorted(status.time_split.items(), key=lambda item: -item[1])
    named = [(TIMES.get(name, name), seconds) for name, seconds in split if seconds]
    yield Figure(lambda href: chart.shares(named))
    rows = [[name, duration(seconds), percent(seconds / whole)] for name, seconds in named]
    yield Table(["", "time", "share"], rows, frozenset({"time", "share"}))
    if status.slots > 1:
        clock = duration(status.seconds)
        yield Paragraph([f"Times are summed over {status.slots} slots; the session took {clock}."], "quiet")
    if status.nodes:
        yield node_table.by_node(status.nodes)
    cost, keeps = status.cost_usd, len(summary.keeps)
    each = f", {dollars(cost / keeps)} for each keep" if cost and keeps else ""
    yield Paragraph([f"Money for model calls: {money(status)}{each}."])
    if summary.by_model:
        yield tables.rates(summary.by_model, "model")
    yield from _early_stops(summary.stops)
    yield from _machine(summary)
    if summary.notes:
        yield Paragraph([f"Your notes: {'; '.join(safe(note, 300) for note in summary.notes[-OTHERS:])}"])


def _arms(summary: SessionSummary) -> Iterator[Block]:
    if len(summary.arms) > 1:
        yield Heading("Which researcher is better?")
        yield from arm_table.layout(summary.arms, summary.status.metric)


def _early_stops(stops: EarlyStops) -> Iterator[Block]:
    if stops.stopped:
        ended = f"{count(stops.stopped, 'screening')} ended early, clearly behind"
        yield Paragraph([f"{ended}, which saved {duration(stops.saved_s)}. {_describe_checks(stops)}"])


def _describe_checks(stops: EarlyStops) -> str:
    """Describe the screenings that were behind, too, and ran on to show whether the rule is right."""
    if not stops.checks:
        return "None that was behind has run to its end yet as a check."
    ran = f"{count(stops.checks, 'screening')} that {'was' if stops.checks == 1 else 'were'} behind ran on as a check"
    return f"{ran}: {stops.wrong or 'none'} of them earned a re-run after all."


def _machine(summary: SessionSummary) -> Iterator[Block]:
    """Lay out the drifts of the scores, what the speed of the cores did to them, and the lost trials."""
    if summary.drifts:
        times = "once" if len(summary.drifts) == 1 else f"{len(summary.drifts)} times"
        yield Paragraph([f"The machine changed {times}:"])
        newest = summary.drifts[-OTHERS:]
        rows = [[f"{datetime.fromtimestamp(event.at):%H:%M}", safe(event.text, 300)] for event in newest]
        yield Table(["at", "what"], rows)
    if summary.speed.slope:
        tenth, metric = summary.speed.slope * math.log(0.9), summary.status.metric
        words = f"Cores that other programs made 10 % slower cost {metric.with_unit(metric.change(tenth))}"
        yield Paragraph([f"{words}; verdicts compare scores at equal speed."])
    if summary.lost:
        reasons = Counter(safe(trial.reason or "-", 100) for _, trial in summary.lost)
        why = "; ".join(f"{number} {reason}" for reason, number in reasons.most_common(OTHERS))
        yield Paragraph([f"{count(len(summary.lost), 'trial')} did not count and were repeated: {why}."], "quiet")


def _near_misses(summary: SessionSummary) -> Iterator[Block]:
    if not summary.near_misses:
        return
    yield Heading("Near misses worth another look")
    best = summary.near_misses[:OTHERS]
    more = len(summary.near_misses) - len(best)
    rest = f" {more} more have lower odds." if more else ""
    words = f"A gain has odds of {percent(NEAR_MISS_ODDS)} or more, and no keep contains them."
    yield Paragraph([f"{words}{rest}"])
    yield experiment_table.table(best, ("n", "change", "sigmas", "odds", "trials", "what"), 200)


def _categories(summary: SessionSummary) -> Iterator[Block]:
    if summary.candidates:
        yield Heading("What was tried, by category")
        yield tables.categories(summary.by_category, summary.candidates)
        words = "An experiment counts in each of its categories: the one that it was named, and those of its constants."
        yield Paragraph([words], "quiet")
    if summary.failures:
        yield Heading("What failed", 3)
        yield experiment_table.table(summary.failures[-OTHERS:], ("n", "verdict", "what", "why"), 120)
        if len(summary.failures) > OTHERS:
            yield Paragraph([f"These are the newest {OTHERS} of {len(summary.failures)}."], "quiet")


def _lineage(summary: SessionSummary) -> Iterator[Block]:
    if summary.keeps:
        yield Heading("Lineage")
        best = summary.status.best
        yield Figure(partial(tree.draw, summary.rows, best))
        yield Fold("as a table", [tables.lineage(summary.rows, best)])


def _programs(summary: SessionSummary) -> Iterator[Block]:
    if not summary.by_program:
        return
    yield Heading("program.md")
    yield tables.rates(summary.by_program, "version")
    if summary.advice:
        tag = summary.session.tag
        words = "The counts above suggest these lines for the next session. To add them, paste them or use"
        yield Paragraph([words, " ", Verbatim(f"autoresearch advice --tag {shlex.quote(tag)} | git apply"), "."])
        yield Code(advice.bullets(summary.advice))
        yield Table(["line", "evidence"], [[each.line.partition(":")[0], each.evidence] for each in summary.advice])
        yield Paragraph(["To try them beside program.md as it is:", " ", Verbatim("autoresearch advice --arm"), "."])


def _protection(summary: SessionSummary) -> Iterator[Block]:
    session = summary.session
    yield Heading("Protection")
    weak = session.grade == "WEAK" or any(row.grade == "WEAK" for row in summary.rows)
    if weak:
        words = "Grade WEAK: not everything was protected when this was measured;"
        yield Paragraph([words, " ", Verbatim("autoresearch doctor"), " ", "says what to do."], "bad")
    rows = [[name, _value(value)] for name, value in {**session.layers, **session.identity}.items()]
    rows += [["weakness", words] for words in summary.weaknesses]
    name = f"{session.grade or 'no grade'}: layers of the cell, and what was measured on"
    yield Fold(name, [Table(["", ""], rows)], weak)


SECTIONS: tuple[Callable[[SessionSummary], Iterator[Block]], ...] = (
    lambda summary: iter([Heading(title(summary), 1)]),
    _suspects,
    _headline,
    _progress,
    kept.overview,
    longer_budget.overview,
    _time_and_money,
    _arms,
    kept.in_detail,
    _near_misses,
    _categories,
    _lineage,
    _programs,
    _protection,
)


# --- words


def _course(summary: SessionSummary) -> str:
    """Describe when the session ran, how it ended, and its settings."""
    status = summary.status
    started = "not started"
    if status.started is not None:
        started = f"{datetime.fromtimestamp(status.started):%d %B %Y, %H:%M}"
    reason = f": {status.stop_reason}" if status.stop_reason else ""
    setup = f"Agent {status.agent}, judge {status.judge}, budget {status.budget or '-'} a trial."
    origin = f" It {status.started_from}." if status.started_from else ""
    return f"{started}, {status.state}{reason}. {setup}{origin}"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
