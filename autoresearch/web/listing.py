"""The experiments of a session as a table that is filtered, sorted and leafed through by plain links."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from autoresearch.report.blocks import Block, Link, Ref, Table, Verbatim, Words, safe
from autoresearch.report.format import change, duration, verdict
from autoresearch.report.tables import money

Row = dict[str, Any]

PAGE = 200  # rows of a page
FILTERS: dict[str, Callable[[Row], str]] = {
    "verdict": verdict,
    "category": lambda row: row["category"] or "-",
    "agent": lambda row: row["agent"] or "-",
}
SORTS: dict[str, Callable[[Row], Any]] = {
    "n": lambda row: row["n"],
    "val_bpb": lambda row: row["val_bpb"],
    "change": lambda row: row["delta"],
    "verdict": lambda row: FILTERS["verdict"](row),
    "category": lambda row: row["category"],
    "lasted": lambda row: row["seconds"],
    "cost": lambda row: row["cost_usd"],
}
HEAD = ("n", "commit", "val_bpb", "change", "verdict", "category", "lasted", "cost", "what")


@dataclass(frozen=True)
class Choice:
    """What the address asks for; anything that is not known counts as not asked."""

    only: Mapping[str, str]
    sort: str = "n"
    down: bool = True
    page: int = 1

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> "Choice":
        """From the parameters of an address: verdict, category, agent, sort (`-` in front: largest first), page."""
        sort, page = asked.get("sort", "-n"), asked.get("page", "1")
        name = sort.removeprefix("-")
        only = {key: value for key, value in asked.items() if key in FILTERS}
        wanted = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        return (
            cls(only, name, sort.startswith("-"), max(1, wanted)) if name in SORTS else cls(only, page=max(1, wanted))
        )

    @property
    def address(self) -> str:
        """The address of this choice, without the part before the `?`."""
        asked = {**self.only, "sort": f"{'-' * self.down}{self.sort}", "page": str(self.page)}
        return f"?{urlencode(asked)}"

    def where(self, name: str, value: str | None) -> "Choice":
        """The same with another filter, or without it."""
        rest = {key: each for key, each in self.only.items() if key != name}
        return replace(self, only=rest if value is None else {**rest, name: value}, page=1)

    def by(self, name: str) -> "Choice":
        """The same sorted by a column; once more turns it around."""
        return replace(self, sort=name, down=not self.down if name == self.sort else False, page=1)


def blocks(rows: Sequence[Row], choice: Choice) -> Iterator[Block]:
    """Filters, the table, and the way to its other pages."""
    for name in FILTERS:
        yield Words(list(_filter(rows, choice, name)), "filter")
    found = sorted_rows(
        [row for row in rows if all(FILTERS[name](row) == value for name, value in choice.only.items())], choice
    )
    first = PAGE * (choice.page - 1)
    names = [name for name in HEAD if name != "cost" or any(row["cost_usd"] for row in rows)]
    head = [_title(name, choice) for name in names]
    cells = [_cells(row) for row in found[first : first + PAGE]]
    table = [[row[name] for name in names] for row in cells]
    yield Table(
        head, table, frozenset(name for name in head if name.split()[0] in ("n", "val_bpb", "change", "lasted", "cost"))
    )
    pages = (len(found) + PAGE - 1) // PAGE
    if pages > 1:
        yield Words(
            [
                part
                for k in range(1, pages + 1)
                for part in (_choice(f"{k}", replace(choice, page=k), k == choice.page), " ")
            ],
            "filter",
        )
    if not table:
        yield Words(["No experiment is like that."])


def sorted_rows(rows: Sequence[Row], choice: Choice) -> list[Row]:
    """As asked; what has no value comes last either way."""
    value = SORTS[choice.sort]
    with_value = [row for row in rows if value(row) is not None]
    return [*sorted(with_value, key=value, reverse=choice.down), *(row for row in rows if value(row) is None)]


def _filter(rows: Sequence[Row], choice: Choice, name: str) -> Iterator[str]:
    counts = Counter(FILTERS[name](row) for row in rows)
    yield f"{name}: "
    yield _choice(f"all {len(rows)}", choice.where(name, None), name not in choice.only)
    for value, count in counts.most_common():
        yield "  "
        yield _choice(f"{safe(value, 40)} {count}", choice.where(name, value), choice.only.get(name) == value)


def _choice(words: str, choice: Choice, chosen: bool) -> str:
    return words if chosen else Link(words, choice.address)


def _title(name: str, choice: Choice) -> str:
    arrow = f" {'↓' if choice.down else '↑'}" if name == choice.sort else ""
    return Link(f"{name}{arrow}", choice.by(name).address) if name in SORTS else name


def _cells(row: Row) -> dict[str, str]:
    what = safe(row["hypothesis"] or "", 200)
    reason = "" if row["val_bpb"] is not None else safe(row["reason"] or "", 120)
    return {
        "n": Ref(row["n"]),
        "commit": Verbatim((row["sha"] or "")[:7]),
        "val_bpb": "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}",
        "change": change(row) or "-",
        "verdict": ", ".join(filter(None, (verdict(row), row["review"]))),
        "category": safe(row["category"] or "-", 30),
        "lasted": duration(row["seconds"]),
        "cost": "-" if row["cost_usd"] is None else money(row["cost_usd"]),
        "what": what + (f" ({reason})" if reason and reason not in what else ""),
    }
