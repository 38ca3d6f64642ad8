"""The score of a checkpoint: a claim, an audit of the claim, and bits per byte computed here (docs/honest-score.md).

One cell *claims* a loss for every token; it may lie. Then another one, which shares nothing with the first, answers
with full logits at random positions of windows whose continuation has been replaced. The mean difference of the two is
added to the claim: a lie inside the tolerance gains nothing.

The two never run at the same time: the claiming cell holds the answers, and could signal them to the auditing cell by
the load that it puts on a shared card or cache.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoresearch.data.dataset import Dataset
from autoresearch.files import JsonObject
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
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.scoring_cell import EvaluationError, Question, ask
from autoresearch.measure.settings import TrialPlan

WARM_UP_TOKENS = 1 << 20  # of the training text, from which the random ones are drawn


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


@dataclass
class Evaluator:
    """Ask fresh cells about one sealed checkpoint. Methods raise EvaluationError, CellError.

    Each gets a copy of `caches`, the compile cache of the training, if there is one. `load` and `answer` are what the
    cell spent that spent most, in the budget's unit; `weaknesses` say what was not protected.
    """

    source: str
    checkpoint: int
    harness: Harness
    plan: TrialPlan = field(default_factory=TrialPlan)
    caches: Path | None = None
    load: float = 0.0
    answer: float = 0.0
    weaknesses: dict[str, None] = field(default_factory=dict)

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
            raise EvaluationError("claim", "the losses are not finite", "nan")
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
        fields: JsonObject = {"temperature": temperature, "count": count}
        answer = self._ask(Question("sample", [task], bytes(len(task)), 4 * count, [fields], seed))
        tokens = np.frombuffer(answer, np.int32)
        return data.decode(tokens[(tokens >= 0) & (tokens < data.vocab_size)])

    def _ask(self, question: Question) -> bytes:
        answer = ask(self.harness, self.plan, self.source, self.checkpoint, question, self.caches)
        self.load = max(self.load, answer.load)
        self.answer = max(self.answer, answer.answer)
        self.weaknesses.update(dict.fromkeys(answer.weaknesses))
        return answer.data

    def _claim(self, rows: Tokens) -> Floats:
        # rows of one batch are not adjacent in the text
        order = np.random.default_rng(len(rows)).permutation(len(rows))
        answers = self.ask_rows("claim", rows[order], self.harness.data.seq_len, [])
        claims = np.empty_like(answers)
        claims[order] = np.maximum(answers, 0.0)  # a negative loss is impossible, and one would outweigh the rest
        return claims

    def _audit(self, rows: Tokens, claims: Floats, scored: npt.NDArray[np.bool_], incumbent: Coarse | None) -> Audit:
        rng = np.random.default_rng(int.from_bytes(os.urandom(16), "little"))
        count = min(self.plan.audit_factor * self.harness.settings.audit, max(1, len(rows) // 2))
        drawn = draw_positions(scored, count, rng, None if incumbent is None else falls_below(incumbent, claims))
        row, position = drawn.row, drawn.position
        windows = splice(rows, row, position, self.harness.data.draw_training_rows(len(row), rng))
        logits = self.ask_rows("audit", windows, self.harness.data.vocab_size, position.tolist())
        audited, d_rms_max = losses_of(logits, rows[row, position + 1]), D_RMS_MAX[self.harness.settings.device]
        return compare(audited, claims[row, position], drawn.weight, d_rms_max)

    def ask_rows(self, mode: str, rows: Tokens, width: int, positions: Sequence[int]) -> Floats:
        """Return float64 [len(rows), width] that a fresh cell answers for `rows`."""
        batch = self.harness.settings.eval_batch
        starts = range(0, len(rows), batch)
        question = Question(
            mode,
            [rows[first : first + batch].tobytes() for first in starts],
            self._random_rows(min(batch, len(rows)), rows.shape[1]).tobytes(),
            size=4 * len(rows) * width,
            fields=[{"first": first, "positions": positions[first : first + batch]} for first in starts],
        )
        return np.frombuffer(self._ask(question), np.float32).reshape(len(rows), width).astype(np.float64)

    def _random_rows(self, count: int, width: int) -> Tokens:
        """Return rows whose tokens are as frequent as in the training text; the second half repeats the first."""
        text = np.memmap(self.harness.data.train_shards()[0], np.uint16, "r")[:WARM_UP_TOKENS]
        rows = np.random.default_rng(width).choice(text, (count, width))
        rows[:, width // 2 :] = rows[:, : width - width // 2]
        return rows
