"""Guards: commands that a version has to pass, and numbers beside the metric that have a limit."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch.measure.reading import MAX_LINE_CHARS, find_value


class GuardError(Exception):
    """A version does not pass a guard, or the number of one is missing; the text says why."""


@dataclass(frozen=True)
class CommandGuard:
    """A command that has to end with status 0, with the version's files; `private` are files that it may read too."""

    name: str
    command: tuple[str, ...]
    timeout_s: float
    read: Mapping[str, Path]
    private: tuple[str, ...] = ()

    @property
    def reads_outputs(self) -> bool:
        return any("{in}" in word for word in self.command)

    def describe(self) -> str:
        return f"Guard {self.name}: `{' '.join(self.command)}` has to end well, within {self.timeout_s:g} s"


@dataclass(frozen=True)
class Limit:
    """The highest value of a number, or the lowest; a share is relative to the base's mean."""

    value: float
    is_upper: bool
    is_share: bool = False

    def bound(self, base: float) -> float:
        return base + self.value * abs(base) if self.is_share else self.value

    def __str__(self) -> str:
        value = f"{100 * self.value:+g} % against the base" if self.is_share else f"{self.value:g}"
        return f"at {'most' if self.is_upper else 'least'} {value}"


@dataclass(frozen=True)
class NumberGuard:
    """A number that stands where the metric does, once, and its limit."""

    name: str
    limit: Limit
    regex: str | None = None
    json_path: str | None = None
    file: str | None = None  # the output of `run` with the JSON; None: a line that is printed
    clock: bool = False  # the seconds of `run`, by the referee's clock

    def describe(self) -> str:
        return f"Guard {self.name}: {self.limit}, judged with its noise"

    def read(self, printed: str, outputs: Mapping[str, bytes], run_seconds: float) -> float:
        """Return the number of a command that ended well. Raises GuardError."""
        if self.clock:
            return run_seconds
        lines = [line for line in printed.splitlines() if len(line) <= MAX_LINE_CHARS]
        texts: Iterable[str | bytes] = [outputs[self.file]] if self.file else lines
        read = self._find if self.regex else self._look_up
        found = [value for value in map(read, texts) if value is not None]
        if len(found) != 1:
            raise GuardError(f"guard {self.name}: its number is there {len(found)} times; it has to be once")
        if not math.isfinite(found[0]):
            raise GuardError(f"guard {self.name} is {found[0]}")
        return found[0]

    def _find(self, line: str | bytes) -> float | None:
        match = re.search(self.regex or "", str(line))
        try:
            return float(match[1]) if match and match[1] is not None else None  # the group may be optional
        except ValueError:
            return math.nan

    def _look_up(self, text: str | bytes) -> float | None:
        value = find_value(text, self.json_path or "$")
        return None if value is None else float(value)


Guard = CommandGuard | NumberGuard
