"""Ten attacks on a user's evaluator, as versions that forge their number; which of them win says what to believe."""

import ast
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from autoresearch.measure import evaluator_forger as forger
from autoresearch.measure.result import Result
from autoresearch.source_tree import SourceTree

Outcome = Literal["wins", "stopped", "refused", "not run"]
FASTER = 10.0  # times; a number that a slow clock has changed by more is forged


class AttackedCommand(Protocol):
    """What an attack must know of the commands that measure (CommandSpec)."""

    @property
    def name(self) -> str: ...
    @property
    def regex(self) -> str | None: ...
    @property
    def json_path(self) -> str | None: ...
    @property
    def file(self) -> str | None: ...
    @property
    def rows(self) -> str | None: ...
    @property
    def private(self) -> Collection[str]: ...
    @property
    def locked(self) -> Mapping[str, str]: ...
    @property
    def possible(self) -> tuple[float, float] | None: ...


@dataclass(frozen=True)
class AttackedBase:
    """A base that is measured, and what is forged of it: `text` is its version, `printed` what its command printed.

    `secrets` are the files that only the evaluator should read, `tasks` those whose scores make up the number.
    """

    evaluator: AttackedCommand
    text: str
    base: float
    printed: str
    secrets: Sequence[str]
    lower_is_better: bool = True
    tasks: Sequence[str] = ()

    @property
    def is_attackable(self) -> bool:
        """Return whether a file that may change is Python: there are no attacks in other languages."""
        return bool(self.python_files())

    def python_files(self) -> dict[str, str]:
        files = SourceTree.parse(self.text).files
        return {path: text for path, text in files.items() if path.endswith(".py") and _start(text) is not None}

    @property
    def number(self) -> float:
        """Return the number to forge: much better than the base's, and possible."""
        better = -1.0 if self.lower_is_better else 1.0
        wanted = self.base + better * (abs(self.base) / 2 or 1.0)
        low, high = (0.0, 1.0) if self.evaluator.rows else self.evaluator.possible or (-math.inf, math.inf)
        if not low < wanted < high:
            wanted = (self.base + (low if self.lower_is_better else high)) / 2
        return math.floor(wanted) if self.base.is_integer() and abs(self.base) > 1 else round(wanted, 9)

    def facts(self) -> forger.Facts:
        evaluator, number = self.evaluator, f"{self.number:.12g}"
        return {
            "number": number,
            "line": self._line(number),
            "regex": evaluator.regex,
            "json_path": evaluator.json_path,
            "file": evaluator.rows or evaluator.file,
            "rows": evaluator.rows is not None,
            "secrets": [*self.secrets],
            "programs": [path for path in evaluator.locked if path.endswith((".py", ".sh"))],
        }

    def _line(self, number: str) -> str:
        """Return a line with the number, as the base printed it if it did; or the lines of all tasks."""
        if self.evaluator.rows:
            return "\n".join(json.dumps({"task": task, "score": float(number)}) for task in self.tasks)
        if self.evaluator.json_path:
            value: object = float(number)
            for key in reversed(self.evaluator.json_path.split(".")[1:]):
                value = {key: value}
            return json.dumps(value)
        lines = self.printed.splitlines() if self.evaluator.regex else []  # none of the referee's clock
        found = (re.search(self.evaluator.regex or "", line) for line in lines)
        match = next(filter(None, found), None)
        if match is None:
            return f"{self.evaluator.name}: {number}"
        return f"{match.string[: match.start(1)]}{number}{match.string[match.end(1) :]}"


def secrets_of(evaluator: AttackedCommand, root: Path) -> list[str]:
    """Return the paths under which the private files could be read; where none is private, all that is locked."""
    names = evaluator.private or evaluator.locked
    return [path for name in names for path in (name, str(root / name))]


@dataclass(frozen=True)
class Attack:
    """A version that runs a function of the forger when its Python files are imported.

    `open_under` are the words for what may be believed under which it wins. `new_files` are files that it adds.
    """

    name: str
    action: str
    open_under: frozenset[str]
    sign: Callable[[AttackedBase, Result], bool]
    new_files: tuple[str, ...] = ()
    trials: int = 1

    def files(self, target: AttackedBase) -> dict[str, str]:
        """Return the files that the version changes or adds."""
        call = f"{Path(forger.__file__).read_text()}\nrun({self.action!r}, {target.facts()!r})\n"
        line = f"exec({call!r}, {{'__name__': 'forger'}})\n"
        if self.new_files:
            return dict.fromkeys(self.new_files, line)
        return {path: _insert(text, line) for path, text in target.python_files().items()}

    def version(self, target: AttackedBase) -> str:
        """Return the text of the attacking version."""
        return SourceTree({**SourceTree.parse(target.text).files, **self.files(target)}).text

    def wins(self, target: AttackedBase, results: Sequence[Result]) -> bool:
        """Return whether trials of the version, in order, show that the attack has won."""
        return self.sign(target, results[-1])

    def attempt(
        self, target: AttackedBase, refuse: Callable[[str], str | None], measure: Callable[[str], Result]
    ) -> Outcome:
        """Try the attack: `refuse` says why a version may not be measured, `measure` runs a trial of it."""
        version = self.version(target)
        if refuse(version) is not None:
            return "refused"
        results = [measure(version) for _ in range(self.trials)]
        if self.wins(target, results):
            return "wins"
        return "stopped" if any(forger.RAN in result.log for result in results) else "not run"


def _is_forged(target: AttackedBase, result: Result) -> bool:
    score = result.val_bpb
    return result.outcome == "ok" and score is not None and math.isclose(score, target.number, rel_tol=1e-6)


def _is_faster(target: AttackedBase, result: Result) -> bool:
    """Return whether a number that a clock gives has become much better."""
    if result.outcome != "ok" or result.val_bpb is None:
        return False
    ours, base = abs(result.val_bpb), abs(target.base)
    return ours * FASTER < base if target.lower_is_better else ours > FASTER * base


def _is_leaked(target: AttackedBase, result: Result) -> bool:
    return forger.WON in result.log


NOWHERE: frozenset[str] = frozenset()
INSIDE = frozenset({"in-process", "reported"})  # the version's code runs in the process that computes the number
STARTUP = ("conftest.py", "sitecustomize.py")
ATTACKS = (
    Attack("forged line", "forge_line", INSIDE, _is_forged),
    Attack("write to the evaluator", "write_evaluator", NOWHERE, _is_forged),
    Attack("reading the answers", "read_secrets", INSIDE, _is_leaked),
    Attack("os._exit after printing", "exit_after_printing", INSIDE, _is_forged),
    Attack("atexit", "forge_at_exit", INSIDE, _is_forged),
    Attack("conftest, sitecustomize", "exit_after_printing", NOWHERE, _is_forged, new_files=STARTUP),
    Attack("PATH, PYTHONPATH", "replace_programs", INSIDE, _is_forged),
    Attack("patched clock", "slow_clock", INSIDE, _is_faster),
    Attack("leftover output", "leave_output", NOWHERE, _is_leaked, trials=2),
    Attack("surviving child", "outlive", NOWHERE, _is_forged),
)


def open_attacks(word: str) -> list[str]:
    """Return the names of the attacks that win under a word for what may be believed."""
    return [attack.name for attack in ATTACKS if word in attack.open_under]


def _start(text: str) -> int | None:
    """Return the number of lines before the first statement that may follow another; None for no Python."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    head = 0
    for index, node in enumerate(body):
        is_docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        head = node.end_lineno or head
    return head


def _insert(text: str, line: str) -> str:
    lines, start = text.splitlines(keepends=True), _start(text) or 0
    before = "".join(lines[:start])
    return before + ("\n" if before and not before.endswith("\n") else "") + line + "".join(lines[start:])
