"""Lay out lessons with the rates of keeps with them and without them."""

from collections.abc import Sequence

from autoresearch.analysis.proportion import proportion
from autoresearch.brief.lesson_list import ListedLesson
from autoresearch.files import JsonObject
from autoresearch.report.blocks import Table, Verbatim
from autoresearch.report.format import percent
from autoresearch.text import one_line

HEAD = ("lesson", "state", "with", "without", "helps", "what")
RANKS = {"without": 1, "with": 2}
MAX_TEXT_CHARS = 160


def table(lessons: Sequence[ListedLesson]) -> Table:
    """Lay out lessons, one a row; rates have their 95 % interval."""
    return Table(HEAD, [_cells(each) for each in lessons], frozenset({"helps"}), RANKS)


def as_json(listed: ListedLesson) -> JsonObject:
    """Return what `lessons --json` prints of a lesson (docs/json.md)."""
    total = listed.record.total
    return {
        "lesson": listed.lesson.key or None,
        "state": listed.state,
        "with": _rate(total.kept_with, total.tried_with),
        "without": _rate(total.kept_without, total.tried_without),
        "helps": None if listed.state == "yours" else listed.record.p_helps,
        "text": listed.text,
    }


def _rate(kept: int, tried: int) -> JsonObject:
    low, high = proportion(kept, tried)
    return {"proposals": tried, "kept": kept, "rate": kept / tried if tried else None, "low": low, "high": high}


def _cells(listed: ListedLesson) -> list[str]:
    facts = as_json(listed)
    helps = "-" if facts["helps"] is None else percent(facts["helps"])
    key, text = Verbatim(listed.lesson.key or "-"), one_line(listed.text, MAX_TEXT_CHARS)
    return [key, listed.state, _describe(facts["with"]), _describe(facts["without"]), helps, text]


def _describe(rate: JsonObject) -> str:
    if not rate["proposals"]:
        return "-"
    between = f"{percent(rate['low'])} to {percent(rate['high'])}"
    return f"{rate['kept']} of {rate['proposals']}: {percent(rate['rate'])} ({between})"
