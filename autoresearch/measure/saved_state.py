"""Find out whether the state_dict of a script's model holds all that it has learned.

The script trains briefly in one cell, which answers about some training rows with the model that is in its memory. A
fresh cell loads what was saved, as for a score, and answers about the same rows.
"""

import math
import os

import numpy as np

from autoresearch.files import JsonObject
from autoresearch.measure import wire
from autoresearch.measure.audit import D_RMS_MAX, Floats, Tokens
from autoresearch.measure.cell_process import CellProcess, Harness, open_cell
from autoresearch.measure.clock import Budget, Clock
from autoresearch.measure.score import Evaluator
from autoresearch.measure.scoring_cell import EvaluationError, receive
from autoresearch.measure.settings import EVALUATION_LIMIT_S

ROWS = 32  # that are asked about, each at one position
BRIEF_S = 2.0  # of training


def find_unsaved(source: str, harness: Harness, seconds: float = BRIEF_S) -> str | None:
    """Return why a script's saved state does not stand for its model, in words; None if it does. Raises CellError."""
    rng = np.random.default_rng(0)
    rows = harness.data.draw_training_rows(ROWS, rng)[:, :-1]
    positions = rng.integers(harness.data.seq_len, size=ROWS).tolist()
    try:
        checkpoint, trained = _train(source, harness, rows, positions, seconds)
        try:
            loaded = Evaluator(source, checkpoint, harness).ask_rows("audit", rows, harness.data.vocab_size, positions)
        finally:
            os.close(checkpoint)
    except EvaluationError as error:
        return f"it cannot be measured: {error}"
    difference, limit = _distance(trained, loaded), D_RMS_MAX[harness.settings.device]
    if difference <= limit:
        return None
    return f"what was saved answers otherwise than the model did: by {difference:.3g} nats, over the limit of {limit:g}"


def _train(source: str, harness: Harness, rows: Tokens, positions: list[int], seconds: float) -> tuple[int, Floats]:
    """Train a script; return its checkpoint, and the logits [ROWS, V] of its model. Raises EvaluationError."""
    shape = (len(rows), harness.data.vocab_size)
    question = wire.seal("tokens", np.ascontiguousarray(rows).tobytes())
    answer = wire.create_writable("answer", 4 * math.prod(shape))
    try:
        with open_cell(harness, "state", source, 0) as process:
            task: JsonObject = {"seconds": seconds, "positions": positions, "batch": harness.settings.eval_batch}
            checkpoint = _run(process, harness, task, [question, answer])
        logits = np.frombuffer(os.pread(answer, 4 * math.prod(shape), 0), np.float32)
        return checkpoint, logits.reshape(shape).astype(np.float64)
    except wire.Closed:
        raise EvaluationError("state", "the process ended") from None
    finally:
        os.close(question)
        os.close(answer)


def _run(process: CellProcess, harness: Harness, task: JsonObject, files: list[int]) -> int:
    """Give a cell its task, and the training rows; return the checkpoint that it delivers."""
    shards = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in harness.data.train_shards()]
    try:
        process.channel.send("task", [*files, *shards], files=len(files), **task)
    finally:
        for fd in shards:
            os.close(fd)
    clock = Clock(Budget(EVALUATION_LIMIT_S, "s"), process.cell.pid, harness.settings.threads)
    delivered = receive(process.channel, "state", "result", clock, "a short training")
    if not delivered.fds:
        raise EvaluationError("state", "nothing was saved")
    return delivered.fds[0]


def _distance(one: Floats, other: Floats) -> float:
    """Return the root mean square difference of log-probabilities, of logits [n, V]; infinity if one is not finite."""
    difference = _normalise(one) - _normalise(other)
    return float(np.sqrt(np.mean(difference**2))) if np.isfinite(difference).all() else math.inf


def _normalise(logits: Floats) -> Floats:
    shifted = logits - logits.max(-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return normalised
