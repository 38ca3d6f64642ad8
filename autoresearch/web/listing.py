"""Lay out the experiments of a session as a table with links that filter and sort it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.unmeasured import describe_unmeasured
from autoresearch.report.blocks import Block, Link, Paragraph, safe
from autoresearch.report.experiment_table import label_of, table
from autoresearch.report.format import UNMEASURED, verdict

PAGE_ROWS = 200
WHAT_CHARS = 600
COLUMNS = ("n", "commit", "score", "change", "sigmas", "verdict", "review", "category", "lasted", "cost", "what")
FILTERS: dict[str, Callable[[ExperimentRow], str]] = {
    "verdict": verdict,
    "category": lambda row: row.category or "-",
    "agent": lambda row: row.arm or row.agent or "-",
}
SORTS: dict[str, Callable[[ExperimentRow], Any]] = {
    "n": lambda row: row.n,
    "score": lambda row: row.val_bpb,
    "val_bpb": lambda row: row.val_bpb,
    "change": lambda row: row.delta,
    "verdict": verdict,
    "category": lambda row: row.category,
    "lasted": lambda row: row.seconds,
    "cost": lambda row: row.cost_usd,
}


@dataclass(frozen=True)
class Choice:
    """The filters, order and page of an address; unknown ones are ignored."""

    only: Mapping[str, str]
    sort: str = "n"
    down: bool = True
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Choice":
        """Read the query of an address: verdict, category, agent, page, sort (`-`: descending)."""
        sort, page = query.get("sort", "-n"), query.get("page", "1")
        name = sort.removeprefix("-")
        only = {key: value for key, value in query.items() if key in FILTERS}
        number = max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        return cls(only, name, sort.startswith("-"), number) if name in SORTS else cls(only, page=number)

    @property
    def address(self) -> str:
        query = {**self.only, "sort": f"{'-' * self.down}{self.sort}", "page": str(self.page)}
        return f"?{urlencode(query)}"

    def where(self, name: str, value: str | None) -> "Choice":
        """Set a filter, or remove it."""
        rest = {key: each for key, each in self.only.items() if key != name}
        return replace(self, only=rest if value is None else {**rest, name: value}, page=1)

    def by(self, name: str) -> "Choice":
        """Sort by a column; the same one again reverses the order."""
        return replace(self, sort=name, down=not self.down if name == self.sort else False, page=1)


def layout(rows: Sequence[ExperimentRow], choice: Choice) -> Iterator[Block]:
    """Lay out the filters, the table, and links to its other pages.

    What was never measured is only listed by the filter for it.
    """
    for name in FILTERS:
        yield Paragraph(list(_filter(rows, choice, name)), "filter")
    matching = [row for row in rows if all(FILTERS[name](row) == value for name, value in choice.only.items())]
    if choice.only.get("verdict") != UNMEASURED:
        matching = [row for row in matching if not row.unmeasured]
    first = PAGE_ROWS * (choice.page - 1)
    shown = table(sort_rows(matching, choice)[first : first + PAGE_ROWS], COLUMNS, WHAT_CHARS)
    titles = {name: _title(name, choice, rows) for name in shown.head}
    numbers = frozenset(titles[name] for name in shown.numbers & {*titles})
    yield replace(shown, head=list(titles.values()), numbers=numbers)
    if (pages := -(-len(matching) // PAGE_ROWS)) > 1:
        links = [_link(f"{k}", replace(choice, page=k), k == choice.page) for k in range(1, pages + 1)]
        yield Paragraph([part for link in links for part in (link, " ")], "filter")
    if dropped := describe_unmeasured(rows):
        yield Paragraph([dropped], "quiet")
    if not shown.rows:
        yield Paragraph(["No experiment matches the filters."])


def sort_rows(rows: Sequence[ExperimentRow], choice: Choice) -> list[ExperimentRow]:
    """Sort rows; those without a value come last in both orders."""
    key = SORTS[choice.sort]
    with_value = sorted((row for row in rows if key(row) is not None), key=key, reverse=choice.down)
    return [*with_value, *(row for row in rows if key(row) is None)]


def _filter(rows: Sequence[ExperimentRow], choice: Choice, name: str) -> Iterator[str]:
    counts = Counter(FILTERS[name](row) for row in rows)
    yield f"{name}: "
    yield _link(f"all {sum(not row.unmeasured for row in rows)}", choice.where(name, None), name not in choice.only)
    for value, number in counts.most_common():
        yield "  "
        yield _link(f"{safe(value, 40)} {number}", choice.where(name, value), choice.only.get(name) == value)


def _link(words: str, choice: Choice, chosen: bool) -> str:
    return words if chosen else Link(words, choice.address)


def _title(name: str, choice: Choice, rows: Sequence[ExperimentRow]) -> str:
    key = "score" if name == label_of(rows) else name
    arrow = f" {'↓' if choice.down else '↑'}" if key == choice.sort else ""
    return Link(f"{name}{arrow}", choice.by(key).address) if key in SORTS else name
