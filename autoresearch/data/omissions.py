"""Count what is left out of a corpus, by reason, with the first example of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoresearch.files import JsonObject

SUFFIXES = (".txt", ".md", ".py", ".jsonl", ".parquet")

NOT_UTF8 = "in another encoding than UTF-8 (`iconv` converts them)"
BINARY = "with zero bytes, which are no text"
EMPTY = "without text"
OTHER_ENDING = f"with another ending than {' '.join(SUFFIXES)}"
HIDDEN = "with names that begin with a dot"
LINKED_FOLDER = "links to folders (name such a folder itself to read it)"
FOLDER = "folders (`**` reads what is below them)"
NO_FILE = "that are neither files nor folders"


@dataclass
class Omissions:
    """Numbers of files or documents by reason. A reason follows its number: "12 without text"."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)  # a path for each reason

    def add(self, reason: str, example: str, count: int = 1) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        self.examples.setdefault(reason, example)

    def merge(self, other: "Omissions") -> None:
        for reason, count in other.counts.items():
            self.add(reason, other.examples[reason], count)

    def as_json(self) -> list[JsonObject]:
        return [
            {"reason": reason, "count": count, "example": self.examples[reason]}
            for reason, count in self.counts.items()
        ]


def describe(left_out: Sequence[JsonObject]) -> str | None:
    """Return one line about what was left out, given as in meta.json; None if nothing was."""
    parts = [f"{one['count']} {one['reason']}, such as {one['example']}" for one in left_out]
    return f"left out: {'; '.join(parts)}" if parts else None
