"""Trials outside of a session, each shown as a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoresearch.cli.slot import say_line

if TYPE_CHECKING:
    from autoresearch.measure.result import Result
    from autoresearch.setup.calibration import Measure
    from autoresearch.setup.triplet_project import ProposedProject


def describe(result: "Result") -> str:
    """Return the number of a trial, or why it has none."""
    return f"{result.outcome}: {result.reason}" if result.val_bpb is None else f"{result.val_bpb:.6g}"


def describe_end(result: "Result") -> str:
    """Return how a command ended of which no number is known yet."""
    return "it runs" if result.outcome == "invalid" else describe(result)


@contextmanager
def open_trials(
    proposed: "ProposedProject",
    wait: bool = False,
    guards: bool = False,
    describe: Callable[["Result"], str] = describe,
) -> Iterator["Measure"]:
    """Lock the slot of a project, and yield what measures a version there, with its `guards` or without."""
    from autoresearch.measure.settings import TrialPlan
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup.slots import lock
    from autoresearch.terminal.step_display import StepDisplay

    protect_self()
    referee = proposed.referee()

    def measure(label: str, text: str, seed: int) -> "Result":
        display.begin(label)
        result = referee.measure(text, seed, TrialPlan(checks_guards=lambda score: guards))
        display.end(label, describe(result))
        return result

    with lock([proposed.project.slot], say_line if wait else None), StepDisplay() as display:
        try:
            yield measure
        finally:
            referee.close()
