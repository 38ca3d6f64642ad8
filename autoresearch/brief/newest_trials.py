"""The newest measured versions as tables: how fast they trained, and their training loss by tenths of the budget.

What train.py reports of itself (steps, losses) is its claim; the times are the referee's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.facts import ResultJson
from autoresearch.measure.loss_curve import PARTS, Tenth, tenths

CLOCKS = {"cpu": "CPU-seconds", "cuda": "GPU-seconds", "wall": "seconds"}


@dataclass(frozen=True)
class MeasuredVersion:
    """Experiment `n`, what it is (a verdict, or the incumbent), and the results of its trials."""

    n: int
    what: str
    results: Sequence[ResultJson]


def tables(versions: Sequence[MeasuredVersion], budget: Budget, device: str) -> list[str]:
    """Return the lines of both tables, the incumbent first; none if nothing was measured."""
    measured = [version for version in versions if version.results]
    if not measured:
        return []
    clock = CLOCKS["cpu" if budget.unit == "cpu" else "cuda" if device == "cuda" else "wall"]
    tenth = "nats a token, means of the tenths of the budget with their standard error"
    ends = [f"{100 * (k + 1) // PARTS} %" for k in range(PARTS)]
    return [
        *_head(["version", "trials", "steps", f"{clock} trained", "ms a step", "tokens a step", "setup, s"]),
        *(_speed(version, budget) for version in measured),
        "",
        f"Training loss, as train.py logs it: {tenth}:",
        "",
        *_head(["version", *ends]),
        *(_curve(version, budget) for version in measured),
    ]


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|---" * len(names) + "|"]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _speed(version: MeasuredVersion, budget: Budget) -> str:
    def mean(value: Callable[[ResultJson], float | None], form: str) -> str:
        known = [each for result in version.results if (each := value(result))]
        return format(fmean(known), form) if known else "-"

    return _row(
        [
            f"{version.n}, {version.what}",
            str(len(version.results)),
            mean(facts.steps, ",.0f"),
            mean(lambda result: facts.used(result, budget), ".1f"),
            mean(facts.ms_per_step, ".3g"),
            mean(lambda result: facts.reported(result, "tokens_per_step"), ",.0f"),
            mean(lambda result: facts.seconds(result, "setup"), ".1f"),
        ]
    )


def _curve(version: MeasuredVersion, budget: Budget) -> str:
    found = tenths([result.get("curve") or [] for result in version.results], budget)
    return _row([str(version.n), *map(_describe_tenth, found)])


def _describe_tenth(tenth: Tenth | None) -> str:
    if tenth is None:
        return "-"
    return f"{tenth.mean:.3f}" + ("" if tenth.error is None else f"±{tenth.error:.3f}")
