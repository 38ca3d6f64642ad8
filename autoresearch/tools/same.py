"""`same`: say whether two versions compute the same function, before training and after some steps of it.

Both run in cells of their own, with the same seed, on the same training rows; their answers are compared here.
"""

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoresearch.measure import wire
from autoresearch.measure.settings import MAX_CHECKPOINT_BYTES
from autoresearch.text import plausible
from autoresearch.tools.checkpoints import compare_weights
from autoresearch.tools.wording import Vocabulary, number
from autoresearch.tools.workbench import ToolError, Workbench

STEPS = 12
SCALED_STEPS = 3
ROWS = 64  # that are asked about, each at one position
BATCH_TOKENS = 1 << 15  # at a time
SCALED_BATCH_TOKENS = 1 << 12
SAME_NATS = 1e-5  # mean difference of log-probabilities that counts as none ...
SAME_SHARE = 1e-4  # ... or this share of how far training has moved the answers
NEAR_SHARE = 1e-2  # a share that rounding can cause, or a small change of the training

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _States:
    """Checkpoints of one version, before training and after it, and log-probabilities [3, ROWS, V].

    The last ones are those with the other version's trained weights.
    """

    checkpoints: list[int]
    steps: int
    answers: Floats

    def close(self) -> None:
        for fd in self.checkpoints:
            os.close(fd)


def same(bench: Workbench, version: str, other: str, name: str, seed: int) -> tuple[bool, str]:
    """Return whether a version is the same function as `other`, which is called `name`, and why. Raises ToolError."""
    theirs = _answers(bench, other, name, seed)
    try:
        ours = _answers(bench, version, "your version", seed, theirs.checkpoints[1:])
        try:
            words = Vocabulary(version + other, bench.private)
            return _compare(ours, theirs, name, words)
        finally:
            ours.close()
    finally:
        theirs.close()


def _answers(bench: Workbench, source: str, name: str, seed: int, weights: list[int] | None = None) -> _States:
    """Train a version for `STEPS` and return its answers, also with the weights of another one."""
    data, settings = bench.data, bench.settings
    rng = np.random.default_rng([seed, 1])
    tokens = bench.draw_rows(ROWS, rng)[:, :-1]
    size = SCALED_BATCH_TOKENS if bench.scaled else BATCH_TOKENS
    batch = max(1, min(settings.eval_batch, size // data.seq_len))
    task = {
        "steps": SCALED_STEPS if bench.scaled else STEPS,
        "batch": batch,
        "positions": rng.integers(data.seq_len, size=ROWS).tolist(),
    }
    shape = (3, ROWS, data.vocab_size)
    files = [
        wire.seal("tokens", np.ascontiguousarray(tokens).tobytes()),
        wire.create_writable("answer", 4 * _size(shape)),
    ]
    checkpoints: list[int] = []
    try:
        with bench.run("same", source, seed, None, task, [*files, *(weights or [])]) as run:
            steps = 0
            for _ in range(2):
                message = run.receive("state")
                checkpoints += message.fds
                steps = int(number(plausible(message.fields.get("steps")) or 0.0, ".0f"))
            run.receive("result").close()
        if len(checkpoints) < 2 or not all(wire.is_sealed(fd, MAX_CHECKPOINT_BYTES) for fd in checkpoints):
            raise ToolError("", "no checkpoints came")
        logits = np.frombuffer(os.pread(files[1], 4 * _size(shape), 0), np.float32).reshape(shape)
        return _States(checkpoints, steps, _log_probabilities(logits.astype(np.float64)))
    except ToolError as error:
        for fd in checkpoints:
            os.close(fd)
        raise _named(error, name) from None
    finally:
        for fd in files:
            os.close(fd)


def _named(error: ToolError, name: str) -> ToolError:
    named = ToolError(name, str(error))
    named.printed = error.printed
    return named


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _log_probabilities(logits: Floats) -> Floats:
    with np.errstate(all="ignore"):
        shifted = logits - logits.max(-1, keepdims=True)
        found: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return found


def _distance(one: Floats, other: Floats) -> float:
    """Return the largest distance of two answers: the mean difference of log-probabilities, weighted by the first."""
    with np.errstate(all="ignore"):
        return float((np.exp(one) * np.abs(one - other)).sum(-1).max())


def _compare(ours: _States, theirs: _States, name: str, words: Vocabulary) -> tuple[bool, str]:
    moved = _distance(theirs.answers[0], theirs.answers[1])
    distances = [_distance(theirs.answers[k], ours.answers[k]) for k in (0, 1)]
    grades = [_grade(distance, moved) for distance in distances]
    when = ("before training", f"after {theirs.steps} steps")
    if max(grades) == 0:
        verdict = f"same: it computes what {name} computes, before training and after {theirs.steps} steps"
    elif max(grades) == 1:
        verdict = f"nearly the same as {name}: rounding could cause the difference, or a small change of the training"
    else:
        verdict = f"differs from {name} {' and '.join(each for each, grade in zip(when, grades, strict=True) if grade)}"
    sizes = ", ".join(f"{distance:.1e} {each}" for distance, each in zip(distances, when, strict=True))
    lines = [verdict, f"largest difference of an answer, in nats: {sizes}; training moved {name} by {moved:.1e}"]
    if ours.steps != theirs.steps:
        lines.append(f"yours drew {ours.steps} batches, {name} {theirs.steps}")
    for k, each in enumerate(when):
        if (grades[k] or k == 0) and not (k and grades[0]):
            lines += compare_weights(ours.checkpoints[k], theirs.checkpoints[k], f"weights {each}", name, words)
    return max(grades) == 0, "\n".join([*lines, _forward(ours, theirs, name)])


def _grade(distance: float, moved: float) -> int:
    """Return 0 for no difference, 1 for one that rounding can cause, 2 for all others, also for what is no number."""
    moved = moved if math.isfinite(moved) else 0.0  # a logit has become infinite: that excuses no difference
    if distance <= max(SAME_NATS, SAME_SHARE * moved):
        return 0
    return 1 if distance <= NEAR_SHARE * moved else 2


def _forward(ours: _States, theirs: _States, name: str) -> str:
    """Say whether the two are the same function of the same weights."""
    distance = _distance(theirs.answers[1], ours.answers[2])
    if not math.isfinite(distance):
        return f"the trained weights of {name} give no answers with yours: they may have another form"
    verdict = "the same answers" if distance <= SAME_NATS else "other answers"
    return f"with the trained weights of {name}, yours gives {verdict} ({distance:.1e})"
