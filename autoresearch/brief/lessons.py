"""Lessons for later sessions on the same machine and data: one line for each verdict."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch.brief.history import PastExperiment, describe_change
from autoresearch.brief.tokens import table_cell
from autoresearch.files import write_atomically

MAX_TEXT_CHARS = 200  # of a change or a reason
HEAD = """\
# Lessons

One line for each verdict on {about}.
They are shown to agents in later sessions on the same machine, data and budget. Edit or delete lines as you like.

"""


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
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
        machine = what["gpu"] or what["cpu"] or "this machine"
        return cls(runs / f"lessons-{key}.md", f"{machine}, data {what['data']}, budget {what['budget']}")

    def add(self, tag: str, past: PastExperiment, trials: int) -> None:
        """Append the lesson of a verdict, unless the file has it, or nothing was measured."""
        if past.unmeasured:
            return
        text = self.path.read_text(errors="replace") if self.path.exists() else HEAD.format(about=self.about)
        if f"[{tag}#{past.n}," not in text:
            end = "" if text.endswith("\n") else "\n"  # an editor may have left the last line open
            write_atomically(self.path, [text, end, f"{_line(tag, past, trials)}\n"])

    def correct(self, tag: str, past: PastExperiment, trials: int) -> None:
        """Replace the lesson of a verdict that was changed, if the file still has it."""
        lines = self.path.read_text(errors="replace").splitlines() if self.path.exists() else []
        corrected = [_line(tag, past, trials) if f"[{tag}#{past.n}," in line else line for line in lines]
        if corrected != lines:
            write_atomically(self.path, [f"{line}\n" for line in corrected])

    def read(self, without: str) -> list[str]:
        """Return the lines, kept changes first, then the newest; without those of the session `without`."""
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        lines = [line for line in reversed(text.splitlines()) if line.startswith("- ") and f"[{without}#" not in line]
        return sorted(lines, key=lambda line: not line.startswith("- keep"))


def _line(tag: str, past: PastExperiment, trials: int) -> str:
    return f"- {lesson(past)} [{tag}#{past.n}, {trials} trial{'' if trials == 1 else 's'}]"


def lesson(past: PastExperiment) -> str:
    """Return what was tried, predicted and measured, and why it failed, in one line."""
    what = f"{past.verdict} ({past.category or 'other'}): {table_cell(describe_change(past), MAX_TEXT_CHARS)}"
    if past.delta is None:
        return f"{what}; {table_cell(past.reason, MAX_TEXT_CHARS)}"
    predicted = "" if past.predicted is None else f"predicted {past.metric.change(past.predicted)}, "
    why = "" if past.verdict == "keep" else f"; {table_cell(past.reason.split(':')[0], MAX_TEXT_CHARS)}"
    return f"{what}; {predicted}measured {past.metric.change(past.delta)}{why}"
