"""Self-attack on the clock: a version that goes on training in `load()`, where no budget is counted."""

import os

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Overhead
from autoresearch.measure.scoring_cell import EvaluationError, Question, ask
from autoresearch.measure.settings import Settings, TrialPlan

HIDES = "def load(state, config, device):\n    while True: pass\n"
EMPTY_CHECKPOINT = b"\x02\0\0\0\0\0\0\0{}"
BUDGET = Budget(0.5, "cpu")
ATTEMPT = "go on working in load()"


def is_ended(data: Dataset) -> bool:
    """Return whether a scoring cell is ended that spends more than its allowance in `load`. Raises CellError."""
    checkpoint = wire.seal("checkpoint", EMPTY_CHECKPOINT)
    rows = bytes(2 * (data.seq_len + 1))
    try:
        ask(
            Harness(Settings(BUDGET), data),
            TrialPlan(base=Overhead()),
            HIDES,
            checkpoint,
            Question("claim", [rows], rows, 4, [{}]),
        )
    except EvaluationError as error:
        return error.outcome == "timeout"
    finally:
        os.close(checkpoint)
    return False
