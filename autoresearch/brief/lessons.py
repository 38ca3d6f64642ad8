"""Lessons for later sessions on the same machine and data: one line for each verdict, and lines of a person."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch.brief.history import PastExperiment, describe_change
from autoresearch.brief.tokens import table_cell
from autoresearch.files import short_hash, write_atomically

MAX_TEXT_CHARS = 200  # of a change or a reason
HEAD = """\
# Lessons

One line for each verdict on {about}.
They are shown to agents in later sessions on the same machine, data and budget. Edit or delete lines as you like.
A line of your own (`- ...`) is always shown. One that ends with (expired: ...) is not shown: remove this to show it.

"""
_LINE = re.compile(r"(?P<line>- .*?(?: \[(?P<key>[^\s\[\]]+#\d+), \d+ trials?\])?)(?P<mark> \(expired: [^()]*\))?\s*")


@dataclass(frozen=True)
class Lesson:
    """One line of the file without its mark; `key` is tag#n of its evidence, empty for a line that a person wrote."""

    line: str
    key: str = ""
    is_marked: bool = False  # as expired


@dataclass(frozen=True)
class Lessons:
    """The lessons of one kind of trial: machine, data and budget."""

    path: Path
    about: str

    @classmethod
    def locate(cls, runs: Path, identity: Mapping[str, object], settings: Mapping[str, object]) -> "Lessons":
        """Find the file for trials with this identity and these pinned settings."""
        what = {name: identity.get(name) for name in ("device", "gpu", "cpu", "data")}
        what["budget"] = settings.get("budget")
        key = short_hash(what)
        machine = what["gpu"] or what["cpu"] or "this machine"
        return cls(runs / f"lessons-{key}.md", f"{machine}, data {what['data']}, budget {what['budget']}")

    def add(self, tag: str, past: PastExperiment, trials: int) -> None:
        """Append the lesson of a verdict, unless the file has it, or nothing was measured."""
        if past.unmeasured:
            return
        text = self.path.read_text("utf-8", "replace") if self.path.exists() else HEAD.format(about=self.about)
        if f"[{tag}#{past.n}," not in text:
            end = "" if text.endswith("\n") else "\n"  # an editor may have left the last line open
            write_atomically(self.path, [text, end, f"{_line(tag, past, trials)}\n"])

    def correct(self, tag: str, past: PastExperiment, trials: int) -> None:
        """Replace the lesson of a verdict that was changed, if the file still has it."""
        lines = self._read_lines()
        corrected = [_line(tag, past, trials) if f"[{tag}#{past.n}," in line else line for line in lines]
        self._replace(lines, corrected)

    def mark(self, words: Mapping[str, str]) -> None:
        """Mark lessons as expired; `words` say why, by the key of the lesson."""
        lines = self._read_lines()
        self._replace(lines, [_mark_line(line, words) for line in lines])

    def read(self, without: str = "") -> list[Lesson]:
        """Return the lessons, kept changes first, then the newest; without those of the session `without`."""
        lessons = [lesson for line in reversed(self._read_lines()) if (lesson := _read_line(line)) is not None]
        others = [lesson for lesson in lessons if not lesson.key.startswith(f"{without}#")]
        return sorted(others, key=lambda lesson: not lesson.line.startswith("- keep"))

    def _read_lines(self) -> list[str]:
        return self.path.read_text("utf-8", "replace").splitlines() if self.path.exists() else []

    def _replace(self, before: list[str], lines: list[str]) -> None:
        if lines != before:
            write_atomically(self.path, [f"{line}\n" for line in lines])


def _read_line(line: str) -> Lesson | None:
    """Return the lesson of a line of the file; None if it is no item of the list."""
    match = _LINE.fullmatch(line)
    return Lesson(match["line"], match["key"] or "", match["mark"] is not None) if match else None


def _mark_line(line: str, words: Mapping[str, str]) -> str:
    lesson = _read_line(line)
    if lesson is None or lesson.is_marked or lesson.key not in words:
        return line
    return f"{lesson.line} (expired: {words[lesson.key]})"


def _line(tag: str, past: PastExperiment, trials: int) -> str:
    """Return one line: text of an agent must not make another one, which would count as a person's."""
    words = " ".join(lesson(past).split())
    return f"- {words} [{tag}#{past.n}, {trials} trial{'' if trials == 1 else 's'}]"


def lesson(past: PastExperiment) -> str:
    """Return what was tried, predicted and measured, and why it failed, in one line."""
    what = f"{past.verdict} ({past.category or 'other'}): {table_cell(describe_change(past), MAX_TEXT_CHARS)}"
    if past.delta is None:
        return f"{what}; {table_cell(past.reason, MAX_TEXT_CHARS)}"
    predicted = "" if past.predicted is None else f"predicted {past.metric.change(past.predicted)}, "
    why = "" if past.verdict == "keep" else f"; {table_cell(past.reason.split(':')[0], MAX_TEXT_CHARS)}"
    return f"{what}; {predicted}measured {past.metric.change(past.delta)}{why}"
