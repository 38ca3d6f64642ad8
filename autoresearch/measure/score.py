"""The score of a checkpoint: a claim, an audit of the claim, and bits per byte computed here (docs/honest-score.md).

One cell *claims* a loss for every token; it may lie. Then another one, which shares nothing with the first, answers
with full logits at random positions of windows whose continuation has been replaced. The mean difference of the two is
added to the claim: a lie inside the tolerance gains nothing.

The two never run at the same time: the claiming cell holds the answers, and could signal them to the auditing cell by
the load that it puts on a shared card or cache.
"""

import builtins
import math
import mmap
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from autoresearch.data.dataset import Dataset
from autoresearch.files import JsonObject
from autoresearch.measure import wire
from autoresearch.measure.audit import (
    D_RMS_MAX,
    D_ROUNDING,
    Audit,
    Coarse,
    Floats,
    Integers,
    Tokens,
    coarse,
    compare,
    draw_positions,
    falls_below,
    losses_of,
    splice,
)
from autoresearch.measure.cell_process import Harness, open_cell
from autoresearch.measure.settings import TrialPlan
from autoresearch.sandbox.cell import reopen

ERRORS = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
ERRORS |= {"OutOfMemoryError", "AcceleratorError", "LinAlgError", "AxisError", "SafetensorError"}


class EvaluationError(Exception):
    """A claim or audit cell gave no answer; holds no text of its exception, which may quote val."""

    def __init__(self, stage: str, error: str) -> None:
        super().__init__(f"{stage} cell: {error}")
        self.error = error


@dataclass(frozen=True)
class Score:
    """Bits per byte of a checkpoint, and `se`, the standard error of its audit in the same unit.

    `audit` is None if the claim had already lost. `row_nats` and `row_bytes` [rows] allow comparing two versions
    row by row. `losses` [rows, seq_len] is the claim, by which positions of a successor's audit are drawn.
    """

    bpb: float
    se: float
    audit: Audit | None
    row_nats: Floats
    row_bytes: Integers
    losses: Coarse


def evaluation_rows(data: Dataset, split: str, count: int) -> Tokens:
    """Return `count` rows of a split, spread evenly over it: the same for every version."""
    rows = data.rows(split)
    picked = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)
    return np.ascontiguousarray(rows[picked])


@dataclass(frozen=True)
class Evaluator:
    """Ask fresh cells about one sealed checkpoint. Methods raise EvaluationError, CellError."""

    source: str
    checkpoint: int
    harness: Harness
    plan: TrialPlan = field(default_factory=TrialPlan)

    def score(self, split: str = "val", loses_above: float | None = None) -> Score:
        """Score the checkpoint on a split. A claim above `loses_above` bits per byte is not audited."""
        data, settings = self.harness.data, self.harness.settings
        rows = evaluation_rows(data, split, settings.eval_rows)
        sizes = data.token_bytes()[rows[:, 1:]]
        claims = self._claim(rows)
        losses = np.where(sizes > 0, claims, 0.0)
        total_bytes = int(sizes.sum())
        bpb = float(losses.sum()) / (math.log(2) * total_bytes)
        if not math.isfinite(bpb):
            raise EvaluationError("claim", "FloatingPointError")
        if loses_above is not None and bpb > loses_above:  # a lie would lower the claim
            return Score(round(bpb, 6), 0.0, None, losses.sum(1), sizes.sum(1), coarse(losses))
        incumbent = self.plan.incumbent_losses if split == "val" else None
        audit = self._audit(rows, losses, sizes > 0, incumbent)
        per_nat = int((sizes > 0).sum()) / (math.log(2) * total_bytes)  # bits per byte for each nat per token
        correction = audit.d_mean * per_nat if D_ROUNDING < abs(audit.d_mean) < math.inf else 0.0
        se = audit.d_se * per_nat
        return Score(round(bpb + correction, 6), se, audit, losses.sum(1), sizes.sum(1), coarse(losses))

    def sample(self, prompt: list[int], count: int, temperature: float, seed: int) -> bytes:
        """Return `count` tokens after those of `prompt` (one or more), as bytes of text.

        With temperature 0 each token is the likeliest one. Numbers that are not tokens are left out.
        """
        task, data = np.asarray(prompt, np.uint16).tobytes(), self.harness.data
        tokens = np.frombuffer(self._ask("sample", task, 4 * count, {"temperature": temperature}, seed), np.int32)
        return data.decode(tokens[(tokens >= 0) & (tokens < data.vocab_size)])

    def _ask(self, mode: str, task: bytes, size: int, fields: JsonObject, seed: int = 0) -> bytes:
        """Return the answer of a fresh cell to a task: `size` bytes, read only after the cell is dead."""
        request, answer = wire.seal("task", task), wire.create_writable("answer", size)
        checkpoint = reopen(self.checkpoint)  # a shared file offset would be a channel from claim to audit
        try:
            with open_cell(self.harness, mode, self.source, seed, [checkpoint]) as process:
                process.channel.send("task", [request, answer], **fields)
                _wait_until_done(process.channel, mode, self.plan.evaluation_limit_s)
            with mmap.mmap(answer, 0, prot=mmap.PROT_READ) as view:
                return view[:]
        except wire.Closed:
            raise EvaluationError(mode, "the process ended without an answer") from None
        finally:
            for fd in (request, answer, checkpoint):
                os.close(fd)

    def _claim(self, rows: Tokens) -> Floats:
        # rows of one batch are not adjacent in the text
        order = np.random.default_rng(len(rows)).permutation(len(rows))
        answers = self._ask_rows("claim", rows[order], self.harness.data.seq_len, [])
        claims = np.empty_like(answers)
        claims[order] = np.maximum(answers, 0.0)  # a negative loss is impossible, and one would outweigh the rest
        return claims

    def _audit(self, rows: Tokens, claims: Floats, scored: npt.NDArray[np.bool_], incumbent: Coarse | None) -> Audit:
        rng = np.random.default_rng(int.from_bytes(os.urandom(16), "little"))
        count = min(self.plan.audit_factor * self.harness.settings.audit, max(1, len(rows) // 2))
        drawn = draw_positions(scored, count, rng, None if incumbent is None else falls_below(incumbent, claims))
        row, position = drawn.row, drawn.position
        windows = splice(rows, row, position, self.harness.data.draw_training_rows(len(row), rng))
        logits = self._ask_rows("audit", windows, self.harness.data.vocab_size, position.tolist())
        audited, d_rms_max = losses_of(logits, rows[row, position + 1]), D_RMS_MAX[self.harness.settings.device]
        return compare(audited, claims[row, position], drawn.weight, d_rms_max)

    def _ask_rows(self, mode: str, rows: Tokens, width: int, positions: Sequence[int]) -> Floats:
        """Return float64 [len(rows), width] that a fresh cell answers for `rows`."""
        size, batch = 4 * len(rows) * width, self.harness.settings.eval_batch
        answer = self._ask(mode, rows.tobytes(), size, {"positions": positions, "batch": batch})
        return np.frombuffer(answer, dtype=np.float32).reshape(len(rows), width).astype(np.float64)


def _wait_until_done(channel: wire.Channel, mode: str, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while (left := deadline - time.monotonic()) > 0:
        message = channel.receive(left)
        if message is None:
            break
        message.close()
        if message.kind == "done":
            return
        if message.kind == "error":
            raise EvaluationError(mode, _error_name(message.fields.get("error")))
    raise EvaluationError(mode, f"no answer in {limit_s:.0f} s")


def _error_name(name: object) -> str:
    """Return the class of an exception; one that train.py made up could spell out validation text in its name."""
    return name if isinstance(name, str) and name in ERRORS else "an exception of its own"
