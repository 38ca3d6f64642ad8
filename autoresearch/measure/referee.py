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

import numpy as np

from autoresearch.data.dataset import Dataset
from autoresearch.measure.result import Progress, Result, Watch
from autoresearch.measure.score import EvaluationError, Score, score
from autoresearch.measure.settings import Settings
from autoresearch.measure.suspension import SuspensionDetector
from autoresearch.measure.training import train
from autoresearch.measure.wire import SOURCE_LIMIT
from autoresearch.sandbox.cell import CellError


def measure(
    source: str,
    seed: int,
    settings: Settings,
    data: Dataset,
    watch: Watch = lambda progress: None,
    loses_above: float | None = None,
    wants_holdout: Callable[[float], bool] = lambda val_bpb: False,
    keep_caches: bool = False,
    keep_checkpoint: Callable[[int], None] = lambda fd: None,
) -> Result:
    """Train and score one version. Never raises for anything that the version does.

    A claim above `loses_above` is not audited; a score that `wants_holdout` is scored on the holdout split too.
    With `keep_caches` what training compiles is kept for later trials in `settings.caches`. `keep_checkpoint` hears of
    the sealed checkpoint, which is closed at the end.
    """
    started = time.monotonic()
    result = Result(seed=seed)
    if (refusal := _refusal(source)) is not None:
        result.reason = refusal
        return result
    with SuspensionDetector() as pulse:
        try:
            checkpoint = train(source, seed, settings, data, watch, result, settings.caches if keep_caches else None)
            if checkpoint is not None:
                keep_checkpoint(checkpoint)
                watch(Progress("score"))
                _score(source, checkpoint, settings, data, loses_above, wants_holdout, result)
        except CellError as error:
            result.outcome, result.reason = "infra", str(error)
    if pulse.missed:
        _doubt(result, pulse.missed, settings)
    result.total_seconds = time.monotonic() - started
    return result


def _doubt(result: Result, missed: float, settings: Settings) -> None:
    """Nobody held the clock for a while: believe only what does not depend on the time of day."""
    result.disturbed = True
    if result.outcome != "ok" or settings.budget.unit == "s":
        result.outcome, result.val_bpb, result.holdout_bpb = "infra", None, None
        result.reason = f"the program was stopped for {missed:.0f} s during the trial"


def _refusal(source: str) -> str | None:
    """Why a text cannot be run as it is: a cell must run all of it, or the version in git is not what was measured."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return "train.py holds characters that UTF-8 cannot hold"
    return f"train.py has over {SOURCE_LIMIT} bytes" if size > SOURCE_LIMIT else None


def _score(
    source: str,
    checkpoint: int,
    settings: Settings,
    data: Dataset,
    loses_above: float | None,
    wants_holdout: Callable[[float], bool],
    result: Result,
) -> None:
    started = time.monotonic()
    try:
        _record(score(source, checkpoint, settings, data, "val", loses_above), result)
        if result.val_bpb is not None and wants_holdout(result.val_bpb):
            _record_holdout(score(source, checkpoint, settings, data, "holdout"), result)
    except EvaluationError as error:
        nan = error.error == "FloatingPointError"
        result.outcome, result.val_bpb = "nan" if nan else "crash", None
        result.reason = "the losses are not finite" if nan else str(error)
    finally:
        os.close(checkpoint)
        result.score_seconds = time.monotonic() - started


def _record(scored: Score, result: Result) -> None:
    result.rows = np.stack([scored.row_nats, scored.row_bytes], 1)
    result.score_se = scored.se if math.isfinite(scored.se) else 0.0
    result.claimed = scored.audit is None
    if scored.audit is not None:
        result.audit = dict(vars(scored.audit))
        if scored.audit.suspicion is not None:
            result.outcome, result.reason = "suspect", scored.audit.suspicion
            return
    result.outcome, result.val_bpb = "ok", scored.bpb


def _record_holdout(scored: Score, result: Result) -> None:
    suspicion = scored.audit.suspicion if scored.audit is not None else None
    if suspicion is None:
        result.holdout_bpb = scored.bpb
        return
    result.outcome, result.val_bpb, result.reason = "suspect", None, f"on the holdout: {suspicion}"
