"""What a human leaves lying about for the researcher: `ideas.md`, one idea an item, and texts in `papers/`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoresearch.brief.history import PastExperiment
from autoresearch.brief.tokens import tokens

SUFFIXES = (".md", ".txt")
LARGEST = 1 << 20  # bytes of a paper that is read
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)$")
_CITED = re.compile(r"\bideas?\b\W{0,3}(\d+)", re.I)


@dataclass(frozen=True)
class Idea:
    """An item of ideas.md, with its number there, and the experiments that tried it: `12 discard`."""

    number: int
    text: str
    tried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paper:
    """A text in papers/."""

    name: str
    text: str


def ideas(path: Path, history: Sequence[PastExperiment]) -> list[Idea]:
    """The items of a list in Markdown, those that nobody tried first."""
    items = [match[1].strip() for line in _lines(path) if (match := _ITEM.match(line))]
    tried: dict[str, list[str]] = {}
    for past in history:
        tried.setdefault(str(past.params.get("idea")), []).append(f"{past.n} {past.verdict}")
    found = [Idea(k, text, tuple(tried.get(text, ()))) for k, text in enumerate(items, 1)]
    return sorted(found, key=lambda idea: bool(idea.tried))


def cited(words: str, offered: Sequence[Idea]) -> str | None:
    """The text of the idea that an agent says its change comes from ("idea 3"), if it was offered."""
    match = _CITED.search(words)
    return next((idea.text for idea in offered if match and idea.number == int(match[1])), None)


def papers(folder: Path, most: int) -> list[Paper]:
    """The texts of a folder that fit into about `most` tokens together, the small ones first."""
    files = [path for path in sorted(folder.glob("*")) if path.suffix in SUFFIXES and path.is_file()]
    found = []
    for path in sorted(files, key=lambda path: (path.stat().st_size, path.name)):
        text = path.read_text(errors="replace") if path.stat().st_size <= LARGEST else None
        if text is None or (most := most - tokens(text)) < 0:
            break
        found.append(Paper(path.name, text))
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.is_file() else []
