"""Lay out the opinion on somebody else's log: a sentence, a chart, and the odds of each keep."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

from autoresearch.analysis.foreign_log import ForeignLog, LogOpinion
from autoresearch.judge.kept_levels import Opinion
from autoresearch.ledger.statements import describe_odds
from autoresearch.report.axes import (
    MARK_WIDTH,
    NARROW_WIDTH,
    WIDTH,
    LegendEntry,
    Scale,
    axes,
    both,
    legend,
    line,
    svg,
    text,
)
from autoresearch.report.blocks import Block, Figure, Heading, Pairs, Paragraph, Table
from autoresearch.report.format import count
from autoresearch.text import one_line

MAX_KEEPS = 60  # in the table
WHAT_CHARS = 80
REAL = 0.5  # a keep with these odds or more is drawn as one


def layout(log: ForeignLog, opinions: Sequence[LogOpinion]) -> list[Block]:
    """Lay out one opinion in full; several, of one noise each, as a table."""
    return list(_one(log, opinions[0]) if len(opinions) == 1 else _several(log, opinions))


def sentence(log: ForeignLog, one: LogOpinion) -> str:
    """Say how many keeps are real, and how much of the gain."""
    found, digits = one.opinion, digits_for(one.sigma)
    low, high = sorted((log.sign * found.low, log.sign * found.high))
    real = (
        f"About {found.real:.0f} of {count(len(found.keeps), 'keep')} {'is' if len(found.keeps) == 1 else 'are'} real"
    )
    interval = f"95 %: {low:+.{digits}f} to {high:+.{digits}f}"
    gain = f"{log.sign * found.gain:+.{digits}f} ({interval}), where the log says {log.claimed:+.{digits}f}"
    return f"{real} (95 %: {found.real_low} to {found.real_high}). The gain is about {gain}."


def digits_for(sigma: float) -> int:
    """Return how many decimals show two digits of the noise."""
    return max(0, 1 - math.floor(math.log10(sigma)))


def _one(log: ForeignLog, one: LogOpinion) -> Iterator[Block]:
    yield Paragraph([sentence(log, one)], "large")
    tried = f"{len(log.entries)} entries with {log.metric}, {len(log.versions) - 1} kept"
    noise = f"{one.sigma:.3g}, the standard deviation of one entry ({one.source})"
    yield Pairs({"log": f"{tried}, {log.failed} without a score", "noise": noise})
    yield Figure(lambda href: both(partial(picture, log, one)))
    yield Heading(f"The last {MAX_KEEPS} keeps" if len(one.opinion.keeps) > MAX_KEEPS else "Keeps")
    yield _table(log, one)


def _several(log: ForeignLog, opinions: Sequence[LogOpinion]) -> Iterator[Block]:
    unknown = "The noise of one entry is unknown, for no commit and no description occurs twice"
    yield Paragraph([f"{unknown}. Measure one version a few times, and give its standard deviation as --sigma."])
    head = ["if the noise is", "that is", "real keeps", "gain", "the log says"]
    yield Table(head, [_row_of(log, one) for one in opinions], frozenset(head) - {"that is"})


def _row_of(log: ForeignLog, one: LogOpinion) -> list[str]:
    found, digits = one.opinion, digits_for(one.sigma)
    real = f"{found.real:.0f} of {len(found.keeps)}"
    gains = [f"{value:+.{digits}f}" for value in (log.sign * found.gain, log.claimed)]
    return [f"{one.sigma:.{digits}f}", one.source, real, *gains]


def _table(log: ForeignLog, one: LogOpinion) -> Table:
    """Lay out the last keeps: what the log says, and what is likely."""
    head, digits = ["entry", log.metric, "change", "likely", "real", "what"], digits_for(one.sigma)
    pairs = zip(pairwise(entry for entry, _ in log.versions), one.opinion.keeps, strict=True)
    rows = [
        [
            str(entry.line),
            f"{entry.score:.{digits}f}",
            f"{entry.score - before.score:+.{digits}f}",
            f"{log.sign * odds.effect:+.{digits}f}",
            describe_odds(odds.p_gain),
            one_line(entry.description or entry.commit, WHAT_CHARS),
        ]
        for (before, entry), odds in pairs
    ]
    return Table(head, rows[-MAX_KEEPS:], frozenset(head[:-1]), {"likely": 1})


def picture(log: ForeignLog, one: LogOpinion, width: float = WIDTH) -> str:
    """Draw the entries, the best as written, and what the true score of each kept version probably is."""
    opinion = one.opinion
    scale = _scale(log, opinion, width)
    entries, height = legend(list(_legend(width)), scale)
    better = "lower" if log.sign > 0 else "higher"
    parts = [*axes(scale, "entry", f"{log.metric}, {better} is better", whole=True)]
    parts += [*_levels(log, opinion, scale), *_dots(log, opinion, scale), *entries]
    return svg(height, sentence(log, one), parts, width=width)


def _scale(log: ForeignLog, opinion: Opinion, width: float) -> Scale:
    """Return a scale without entries far worse than the base."""
    edges = [log.sign * edge for level in opinion.levels for edge in (level.low, level.high)]
    kept = [entry.score for entry, _ in log.versions]
    low, high = min([*edges, *kept]), max([*edges, *kept])
    room = 0.08 * (high - low) or 0.01
    return Scale(0.5, log.entries[-1].line + 0.5, low - room, high + room, width)


def _levels(log: ForeignLog, opinion: Opinion, scale: Scale) -> Iterator[str]:
    """Draw the best as it was written, and the likely true scores with their intervals."""
    kept = [entry for entry, _ in log.versions]
    ends = [*(scale.x(entry.line) for entry in kept[1:]), scale.right]
    written, likely = list[tuple[float, float]](), list[tuple[float, float]]()
    for entry, level, right in zip(kept, opinion.levels, ends, strict=True):
        left, (top, bottom) = scale.x(entry.line), sorted(scale.y(log.sign * y) for y in (level.low, level.high))
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" {size}/>'
        written += [(x, scale.y(entry.score)) for x in (left, right)]
        likely += [(x, scale.y(log.sign * level.mean)) for x in (left, right)]
    yield line(written, "curve curve1")
    yield line(likely, "best")


def _dots(log: ForeignLog, opinion: Opinion, scale: Scale) -> Iterator[str]:
    odds = {entry.line: each.p_gain for (entry, _), each in zip(log.versions[1:], opinion.keeps, strict=True)}
    for entry in log.entries:
        where = f'cx="{scale.x(entry.line):.1f}" cy="{scale.y(entry.score):.1f}"'
        kind = "dot" if entry.line not in odds else "keep" if odds[entry.line] >= REAL else "near"
        size = "2.6" if kind == "dot" else "5"
        title = f"{entry.line}: {entry.score:.6g} {one_line(entry.description, WHAT_CHARS)}"
        yield f'<circle class="{kind}" {where} r="{size}"><title>{text(title)}</title></circle>'


def _legend(width: float) -> Iterator[LegendEntry]:
    for kind, words in (("keep", "keep, probably real"), ("near", "keep, probably luck"), ("dot", "not kept")):
        yield LegendEntry(words, partial(_circle, kind), 14)
    yield LegendEntry("best as the log has it", partial(_stroke, "curve curve1"))
    words = "likely true score, with its 95 % interval" if width > NARROW_WIDTH else "likely true score"
    yield LegendEntry(words, partial(_stroke, "best"))


def _circle(kind: str, x: float, y: float) -> str:
    return f'<circle class="{kind}" cx="{x + 5}" cy="{y}" r="5"/>'


def _stroke(kind: str, x: float, y: float) -> str:
    return f'<path class="{kind}" d="M{x} {y}h{MARK_WIDTH - 6}"/>'
