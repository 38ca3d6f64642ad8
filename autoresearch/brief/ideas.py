"""Human-supplied ideas (items of `ideas.md`) and reference texts (`papers/`)."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch.brief.history import PastExperiment
from autoresearch.brief.tokens import count_tokens
from autoresearch.files import read_text

SUFFIXES = (".md", ".txt")
MAX_PAPER_BYTES = 1 << 20
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)$")
_CITATION = re.compile(r"\bideas?\b\W{0,3}(\d+)", re.I)


@dataclass(frozen=True)
class Idea:
    """An item of ideas.md with its number, and the experiments that tried it, such as `12 discard`."""

    number: int
    text: str
    tried: tuple[str, ...] = ()

    def __str__(self) -> str:
        tried = f" (tried: {', '.join(self.tried)})" if self.tried else ""
        return f"- idea {self.number}: {self.text}{tried}"


@dataclass(frozen=True)
class Paper:
    """A text in papers/."""

    name: str
    text: str


def read_ideas(text: str, history: Sequence[PastExperiment]) -> list[Idea]:
    """Return the items of a list in Markdown, those that were not tried yet first."""
    items = [match[1].strip() for line in text.splitlines() if (match := _ITEM.match(line))]
    tried: dict[str, list[str]] = {}
    for past in (each for each in history if not each.unmeasured):
        tried.setdefault(str(past.params.get("idea")), []).append(f"{past.n} {past.verdict}")
    ideas = [Idea(k, text, tuple(tried.get(text, ()))) for k, text in enumerate(items, 1)]
    return sorted(ideas, key=lambda idea: bool(idea.tried))


def find_cited(source: str, ideas: Sequence[Idea]) -> str | None:
    """Return the text of the idea that an agent names as the source of its change, such as "idea 3"."""
    match = _CITATION.search(source)
    return next((idea.text for idea in ideas if match and idea.number == int(match[1])), None)


def read_papers(folder: Path, max_tokens: int) -> list[Paper]:
    """Return the texts of a folder that fit into about `max_tokens` together, the small ones first."""
    papers = []
    for size, path in _find_papers(folder):
        text = _read_paper(path) if size <= MAX_PAPER_BYTES else ""
        if not text:  # a file that cannot be read is none
            continue
        if (max_tokens := max_tokens - count_tokens(text)) < 0:
            break
        papers.append(Paper(path.name, text))
    return papers


def _find_papers(folder: Path) -> list[tuple[int, Path]]:
    """Return size and path of the texts of a folder, the small ones first."""
    with suppress(OSError):
        paths = [path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES) and path.is_file()]
        return sorted((path.stat().st_size, path) for path in paths if not path.name.startswith("."))
    return []


def _read_paper(path: Path) -> str:
    with suppress(OSError):
        return read_text(path) or ""
    return ""
