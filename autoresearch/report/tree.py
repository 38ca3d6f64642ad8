"""The lineage of a session as SVG: the way from the base to the incumbent straight down, other lines beside it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoresearch.report.axes import LETTER, WIDTH, svg, text
from autoresearch.report.blocks import Href, safe
from autoresearch.report.chart import kind_of, linked

Row = dict[str, Any]

VERSIONS = 60  # the newest; of more a picture is no help
STEP, LANE, MARGIN = 26, 22, 14  # from version to version, from line to line, around


@dataclass(frozen=True)
class Version:
    """One that was kept, or that others were derived from; `tried` counts what came of those by kind."""

    row: Row
    lane: int
    tried: Counter[str]


def versions(rows: Sequence[Row], best: int | None) -> list[Version]:
    """In the order of the picture: each version, what was derived from it beside the way to the incumbent, the way on.

    A line beside it goes straight on with the last version that was derived.
    """
    tried = _tried(rows)
    shown = {
        row["n"]: row for row in [row for row in rows if row["n"] in tried or row["verdict"] == "keep"][-VERSIONS:]
    }
    way = set(_way(best, shown))
    children: dict[int | None, list[int]] = {}
    for n, row in shown.items():
        children.setdefault(_parent(row, shown), []).append(n)
    found: list[Version] = []
    waiting = [(n, 0) for n in reversed(children.get(None, []))]
    while waiting:
        n, lane = waiting.pop()
        found.append(Version(shown[n], lane, tried.get(n, Counter())))
        derived = children.get(n, [])
        on = [child for child in derived if child in way] if n in way else derived[-1:]
        waiting += [(child, lane) for child in on] + [(child, lane + 1) for child in derived[::-1] if child not in on]
    return found


def draw(rows: Sequence[Row], best: int | None, href: Href) -> str:
    """The picture."""
    found = versions(rows, best)
    places = {version.row["n"]: (MARGIN + LANE * version.lane, MARGIN + STEP * k) for k, version in enumerate(found)}
    lines = [_line(places[parent], places[n]) for n, parent in _edges(found, places)]
    start = MARGIN + LANE * (1 + max(version.lane for version in found))
    parts = [part for version in found for part in _version(version, places[version.row["n"]], start, href)]
    return svg(
        2 * MARGIN + STEP * (len(found) - 1), f"The lineage of {len(found)} versions", [*lines, *parts], "chart tree"
    )


def _tried(rows: Sequence[Row]) -> dict[int, Counter[str]]:
    """What came of the experiments on each version."""
    tried: dict[int, Counter[str]] = {}
    for row in rows:
        if row["parent"] is not None and row["verdict"]:
            tried.setdefault(row["parent"], Counter())["near miss" if row["near_miss"] else row["verdict"]] += 1
    return tried


def _way(n: int | None, shown: Mapping[int, Row]) -> Iterator[int]:
    while n is not None and n in shown:
        yield n
        n = _parent(shown[n], shown)


def _parent(row: Row, shown: Mapping[int, object]) -> int | None:
    """What it was derived from, if that is in the picture: an earlier one, whatever a ledger says (no circles)."""
    parent: int | None = row["parent"]
    return parent if parent is not None and parent < row["n"] and parent in shown else None


def _edges(found: Sequence[Version], places: Mapping[int, object]) -> Iterator[tuple[int, int]]:
    for version in found:
        if (parent := _parent(version.row, places)) is not None:
            yield version.row["n"], parent


def _line(parent: tuple[int, int], child: tuple[int, int]) -> str:
    """Down in the parent's lane, and out to the side at the end: only what is beside the parent lies between."""
    (x, y), (to, down) = parent, child
    aside = "" if x == to else f"C{x} {down} {to} {down - STEP} {to} {down}"
    return f'<path class="branch" d="M{x} {y}V{down - STEP if aside else down}{aside}"/>'


def _version(version: Version, place: tuple[int, int], start: int, href: Href) -> Iterator[str]:
    row, (x, y) = version.row, place
    came = words(version.tried)
    score = "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}"
    room = int((WIDTH - start - 100 - LETTER * len(came) - 24) / LETTER)
    kind = "keep" if row["verdict"] == "keep" else kind_of(row)
    yield linked(
        row["n"],
        href,
        f'<circle class="{kind}" cx="{x}" cy="{y}" r="6"/>'
        f'<text class="name" x="{start}" y="{y + 4}">{row["n"]}</text>'
        f'<text x="{start + 40}" y="{y + 4}">{score}</text>'
        f'<text x="{start + 96}" y="{y + 4}">{text(safe(row["hypothesis"] or "", max(8, room)))}</text>',
    )
    yield f'<text class="tick" x="{WIDTH - MARGIN}" y="{y + 4}" text-anchor="end">{text(came)}</text>'


def words(tried: Counter[str]) -> str:
    """What came of the experiments on a version."""
    return ", ".join(f"{count} {verdict}" for verdict, count in tried.most_common()) or "nothing tried on it"
