"""Draw the lineage of a session as SVG, with the path to the incumbent straight down."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from autoresearch.ledger.queries import ExperimentRow
from autoresearch.report.axes import LETTER_WIDTH, NARROW_WIDTH, WIDTH, both, svg, text
from autoresearch.report.blocks import Href, safe
from autoresearch.report.chart import kind_of, link
from autoresearch.report.format import verdict

MAX_VERSIONS = 60  # the newest; a picture of more is no help
STEP, LANE, MARGIN = 26, 22, 14  # from version to version, from line to line at most, around
TEXT_WIDTH = 240  # of number, score and counts


@dataclass(frozen=True)
class Version:
    """An experiment that was kept or that others were derived from, with their verdicts."""

    row: ExperimentRow
    lane: int
    verdicts: Counter[str]


def versions(rows: Sequence[ExperimentRow], best: int | None) -> list[Version]:
    """Return the versions in the order of the picture.

    After each one come its side lines, then the next one on the path to the incumbent. A side line goes straight on
    with the last version that was derived from its end.
    """
    verdicts = _count_verdicts(rows)
    shown = {row.n: row for row in [r for r in rows if r.n in verdicts or r.verdict == "keep"][-MAX_VERSIONS:]}
    path = set(_path(best, shown))
    children: dict[int | None, list[int]] = {}
    for n, row in shown.items():
        children.setdefault(_parent(row, shown), []).append(n)
    found: list[Version] = []
    waiting = [(n, 0) for n in reversed(children.get(None, []))]
    while waiting:
        n, lane = waiting.pop()
        found.append(Version(shown[n], lane, verdicts.get(n, Counter())))
        derived = children.get(n, [])
        on = [child for child in derived if child in path] if n in path else derived[-1:]
        waiting += [(child, lane) for child in on] + [(child, lane + 1) for child in derived[::-1] if child not in on]
    return found


def draw(rows: Sequence[ExperimentRow], best: int | None, href: Href) -> str:
    """Draw `picture` for pages and for phones."""
    return both(partial(picture, versions(rows, best), href))


def picture(shown: Sequence[Version], href: Href, width: float = WIDTH) -> str:
    """Draw versions with their scores; a narrow picture has no room for hypotheses."""
    lanes = 1 + max((version.lane for version in shown), default=0)
    lane = min(LANE, int((width - TEXT_WIDTH) / lanes))
    positions = {version.row.n: (MARGIN + lane * version.lane, MARGIN + STEP * k) for k, version in enumerate(shown)}
    lines = [_line(positions[parent], positions[n]) for n, parent in _edges(shown, positions)]
    start = MARGIN + lane * lanes
    parts = [part for version in shown for part in _version(version, positions[version.row.n], start, href, width)]
    height, label = 2 * MARGIN + STEP * (len(shown) - 1), f"The lineage of {len(shown)} versions"
    return svg(height, label, [*lines, *parts], "chart tree", width)


def _count_verdicts(rows: Sequence[ExperimentRow]) -> dict[int, Counter[str]]:
    verdicts: dict[int, Counter[str]] = {}
    for row in rows:
        if row.parent is not None and row.verdict and not row.unmeasured:
            verdicts.setdefault(row.parent, Counter())[verdict(row)] += 1
    return verdicts


def _path(n: int | None, shown: Mapping[int, ExperimentRow]) -> Iterator[int]:
    while n is not None and n in shown:
        yield n
        n = _parent(shown[n], shown)


def _parent(row: ExperimentRow, shown: Mapping[int, object]) -> int | None:
    """Return the parent, if it is shown and older (a damaged ledger may contain circles)."""
    return row.parent if row.parent is not None and row.parent < row.n and row.parent in shown else None


def _edges(versions: Sequence[Version], shown: Mapping[int, object]) -> Iterator[tuple[int, int]]:
    for version in versions:
        if (parent := _parent(version.row, shown)) is not None:
            yield version.row.n, parent


def _line(parent: tuple[int, int], child: tuple[int, int]) -> str:
    """Draw down in the parent's lane, then to the side: so lines do not cross versions."""
    (x, y), (to, down) = parent, child
    aside = "" if x == to else f"C{x} {down} {to} {down - STEP} {to} {down}"
    return f'<path class="branch" d="M{x} {y}V{down - STEP if aside else down}{aside}"/>'


def _version(
    version: Version, position: tuple[int, int], start: int, href: Href, width: float = WIDTH
) -> Iterator[str]:
    row, (x, y) = version.row, position
    narrow, total = width == NARROW_WIDTH, version.verdicts.total()
    counts = f"{total} tried on it" if narrow and total else verdict_counts(version.verdicts)
    score = "-" if row.val_bpb is None else row.metric.score(row.val_bpb)
    room = int((width - start - 100 - LETTER_WIDTH * len(counts) - 24) / LETTER_WIDTH)
    words = "" if narrow else safe(row.hypothesis or "", max(8, room))
    kind = "keep" if row.verdict == "keep" else kind_of(row)
    yield link(
        row.n,
        href,
        f'<circle class="{kind}" cx="{x}" cy="{y}" r="6"/>'
        f'<text class="name" x="{start}" y="{y + 4}">{row.n}</text>'
        f'<text x="{start + 40}" y="{y + 4}">{score}</text>'
        f'<text x="{start + 96}" y="{y + 4}">{text(words)}</text>',
    )
    yield f'<text class="tick" x="{width - MARGIN}" y="{y + 4}" text-anchor="end">{text(counts)}</text>'


def verdict_counts(verdicts: Counter[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()) or "nothing tried on it"
