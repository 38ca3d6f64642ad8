"""What a command gave: its number, with how finely it was printed, or with the result of each task."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import fmean

from autoresearch.metric import Metric

MAX_LINE_CHARS = 1000  # of a line in which a number is searched
MAX_TASKS = 10_000  # their results are in the ledger with each trial
MAX_TASK_CHARS = 100
FINEST_EXPONENT = -300  # of ten, that a float can hold


class NoNumberError(Exception):
    """There is no number; `outcome` is that of the trial."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True)
class MeasuredNumber:
    """A number, the value of its last printed digit (None if it was not printed), and the scores by task of a rate."""

    value: float
    resolution: float | None = None
    tasks: Mapping[str, float] = field(default_factory=dict)

    def check_tasks(self, known: frozenset[str]) -> None:
        """Raise NoNumberError unless the tasks are those of the base; an empty set knows none."""
        missing, new = len(known - self.tasks.keys()), len(self.tasks.keys() - known)
        if known and (missing or new):
            raise NoNumberError("invalid", f"{missing} tasks of the base are missing, and {new} are not among them")


def check_number(metric: Metric, number: float, possible: tuple[float, float] | None) -> None:
    """Raise NoNumberError for a number that is not finite, or outside of what is possible."""
    if not math.isfinite(number):
        raise NoNumberError("nan", f"{metric.name} is {number}")
    low, high = possible or (-math.inf, math.inf)
    if not low <= number <= high:
        raise NoNumberError("suspect", f"{metric.name} is {number:g}, outside of what is possible")
    if metric.is_log and number <= 0:
        raise NoNumberError("invalid", f"{metric.name} is {number:g}: a time has to be above 0")


def resolution(text: str) -> float | None:
    """Return the value of the last digit of a number as it was printed: 0.01 for 1.50."""
    try:
        exponent = Decimal(text.strip()).as_tuple().exponent
    except ArithmeticError:
        return None
    return 10.0**exponent if isinstance(exponent, int) and abs(exponent) <= -FINEST_EXPONENT else None


def find_value(text: str | bytes, path: str) -> str | None:
    """Return the number at a path of a JSON text, as it is written there; None if there is none."""
    try:
        value: object = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    for key in path.split(".")[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def read_rows(output: bytes, name: str) -> MeasuredNumber:
    """Return the mean score of the lines of an output, each with a `task` and its `score`. Raises NoNumberError."""
    tasks = dict[str, float]()
    for number, line in enumerate(output.splitlines(), 1):
        if not line.strip():
            continue
        task, score = _read_row(line, f"line {number} of {name}")
        if task in tasks:
            raise NoNumberError("invalid", f"line {number} of {name} repeats a task")
        tasks[task] = score
    if not 0 < len(tasks) <= MAX_TASKS:
        raise NoNumberError("invalid", f"{name} has {len(tasks)} tasks; it may have 1 to {MAX_TASKS}")
    return MeasuredNumber(fmean(tasks.values()), tasks=tasks)


def _read_row(line: bytes, where: str) -> tuple[str, float]:
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    task, score = (row.get("task"), row.get("score")) if isinstance(row, dict) else (None, None)
    if not isinstance(task, str | int) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise NoNumberError("invalid", f'{where} is not {{"task": its name, "score": a number from 0 to 1}}')
    if len(name := str(task)) > MAX_TASK_CHARS:
        raise NoNumberError("invalid", f"{where}: the name of a task has over {MAX_TASK_CHARS} characters")
    return name, float(score)
