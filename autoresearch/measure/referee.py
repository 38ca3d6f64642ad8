"""The referee: one trial of one version, from its source to its score.

    train   in a cell; the data is handed over when it says it is ready, and the clock starts
    bell    everything in the cell is killed; the last checkpoint that arrived in time counts
    score   claim and audit in fresh cells (score.py)

Nothing that the cell says about itself decides: it is stored under `reported`.
"""

import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from autoresearch.measure.cell_process import Harness
from autoresearch.measure.result import Overhead, Progress, Result
from autoresearch.measure.score import Evaluator, Score
from autoresearch.measure.scoring_cell import EvaluationError
from autoresearch.measure.settings import Settings, TrialPlan, Unwanted
from autoresearch.measure.suspension import SuspensionDetector
from autoresearch.measure.training import train
from autoresearch.measure.trial_facts import describe_trial
from autoresearch.measure.wire import MAX_SOURCE_BYTES
from autoresearch.sandbox.cell import CellError, CellLost
from autoresearch.sandbox.compile_cache import temporary_store
from autoresearch.source.prose import without_prose


class Conditions(Protocol):
    """The trials of one slot, whose cores and card are in `settings`."""

    @property
    def settings(self) -> Settings: ...

    def describe(self, base: Overhead | None) -> list[str]:
        """Return what is the same in all its trials, one line for each fact; `base` is what the base spent."""


class Referee(Conditions, Protocol):
    """Measure versions on one slot."""

    def measure(self, source: str, seed: int, plan: TrialPlan) -> Result:
        """Measure one version. Never raises for anything that the version does."""

    def close(self) -> None:
        """End everything that is kept ready for the next trial."""


@dataclass(frozen=True)
class CellReferee(Harness):
    """Train and score language models in cells; the built-in referee. It scores while it holds `while_scoring`."""

    while_scoring: Callable[[], AbstractContextManager[None]] = nullcontext

    def describe(self, base: Overhead | None = None) -> list[str]:
        return describe_trial(self.settings, self.data, base)

    def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
        started = time.monotonic()
        result = Result(seed=seed)
        if (refusal := _refuse_source(source)) is not None:
            result.reason = refusal
            return result
        with SuspensionDetector() as suspension, temporary_store() as caches:
            try:
                checkpoint = train(source, seed, self, result, plan, caches)
                if checkpoint is not None:
                    self._take(source, checkpoint, plan, result, caches)
            except CellError as error:
                is_to_blame = isinstance(error, CellLost) and self.can_run_cells()
                result.outcome, result.reason = "crash" if is_to_blame else "infra", str(error)
            except Unwanted:
                result.end_early("ended early: it was not wanted any more")
        if suspension.missed_s:
            self._discount(result, suspension.missed_s)
        result.total_seconds = time.monotonic() - started
        return result

    def close(self) -> None:
        self.cells.close()

    def _take(self, source: str, checkpoint: int, plan: TrialPlan, result: Result, caches: Path | None) -> None:
        """Score a checkpoint, and close it. Raises CellError, Unwanted."""
        try:
            plan.keep_checkpoint(checkpoint)
            plan.watch(Progress("score"))
            with self.while_scoring():
                self._score(source, checkpoint, plan, result, caches)
        finally:
            os.close(checkpoint)

    def _score(self, source: str, checkpoint: int, plan: TrialPlan, result: Result, caches: Path | None) -> None:
        started = time.monotonic()
        evaluator = Evaluator(source, checkpoint, self, plan, caches)
        try:
            cost = plan.speed_cost(result.conditions)
            _record_score(evaluator.score("val", plan.loses_above and plan.loses_above + cost), result)
            if result.val_bpb is not None and plan.wants_holdout(result.val_bpb - cost):
                _score_holdout(evaluator, result)
        except EvaluationError as error:
            result.outcome, result.val_bpb, result.reason = error.outcome, None, str(error)
        finally:
            result.score_seconds = time.monotonic() - started
            result.spent |= {"load": evaluator.load, "answer": evaluator.answer}
            result.weaknesses += [weakness for weakness in evaluator.weaknesses if weakness not in result.weaknesses]
            result.grade = "WEAK" if result.weaknesses else "STRONG"

    def _discount(self, result: Result, missed_s: float) -> None:
        """Mark a result as disturbed; discard it where it depends on wall-clock time."""
        result.disturbed = True
        if result.outcome != "ok" or self.settings.budget.unit == "s":
            result.outcome, result.val_bpb, result.holdout_bpb = "infra", None, None
            result.reason = f"the program was stopped for {missed_s:.0f} s during the trial"


def _refuse_source(source: str) -> str | None:
    """Return why a cell could not run the whole program: the measured version must be the one in git."""
    try:
        size = len(source.encode())
        size = size if size > MAX_SOURCE_BYTES else len(without_prose(source).encode())
    except UnicodeEncodeError:
        return "train.py holds characters that UTF-8 cannot hold"
    except SyntaxError as error:
        return f"train.py does not parse: line {error.lineno}: {error.msg}"
    return f"train.py has over {MAX_SOURCE_BYTES} bytes" if size > MAX_SOURCE_BYTES else None


def _record_score(score: Score, result: Result) -> None:
    result.rows = np.stack([score.row_nats, score.row_bytes], 1)
    result.score_se = score.se if math.isfinite(score.se) else 0.0
    result.claimed = score.audit is None
    if score.audit is not None:
        result.audit = dict(vars(score.audit))
        if score.audit.suspicion is not None:
            result.outcome, result.reason = "suspect", score.audit.suspicion
            return
        result.losses = score.losses
    result.outcome, result.val_bpb = "ok", score.bpb


def _score_holdout(evaluator: Evaluator, result: Result) -> None:
    """Record the score on the holdout. Raises EvaluationError, CellError."""
    try:
        score = evaluator.score("holdout")
    except EvaluationError as error:
        raise EvaluationError(f"holdout {error.stage}", error.error, error.outcome) from None
    suspicion = score.audit.suspicion if score.audit is not None else None
    if suspicion is None:
        result.holdout_bpb = score.bpb
        return
    result.outcome, result.val_bpb, result.reason = "suspect", None, f"on the holdout: {suspicion}"
