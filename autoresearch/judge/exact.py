"""Decisions on a number without noise: two runs of one version give the same."""

from collections.abc import Sequence

from autoresearch.judge.noise import Draw
from autoresearch.judge.rules import Decision
from autoresearch.metric import Metric

CONFIRMED = 2  # runs of a version before a keep
ROUNDING = 1e-12  # of the number: sums of floats differ by it


def decide_exact(
    candidate: Sequence[Draw], incumbent: Sequence[Draw], metric: Metric, step: float, simpler: str | None = None
) -> Decision:
    """Judge a candidate by one run, and by one more if it is better by `step`, the last digit that was printed.

    Where runs of one version differ, its worst counts against the candidate, and the incumbent's best. `simpler` says
    why a candidate is kept without a gain, if its number is the same.
    """
    ours, theirs = max(draw.score for draw in candidate), min(draw.score for draw in incumbent)
    delta, tie = ours - theirs, max(step / 2, ROUNDING * abs(theirs))  # by half a digit: a gain of one counts
    same = abs(delta) <= tie
    wanted = delta < -tie or (same and simpler is not None)

    def decision(action: str, words: str) -> Decision:
        change = metric.change(delta) if abs(delta) > tie else "no difference"
        return Decision(action, f"{words}: {change}", delta, 1.0 if delta < -tie else 0.0)

    if wanted and len(candidate) < CONFIRMED:
        return decision("run_again", "looks better" if not same else f"{simpler}")
    if wanted:
        return decision("keep", "a second run confirms it" if not same else f"{simpler} for the same number")
    return decision("discard", "the same number" if same else "not better")
