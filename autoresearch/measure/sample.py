"""Text that a checkpoint continues: tokens are drawn in a cell and decoded here."""

import numpy as np

from autoresearch.measure.score import Evaluator


def sample(evaluator: Evaluator, prompt: list[int], count: int, temperature: float, seed: int) -> bytes:
    """Return `count` tokens after those of `prompt` (one or more), as bytes of text.

    With temperature 0 each token is the likeliest one. Numbers that are not tokens are left out. Raises
    EvaluationError, CellError.
    """
    task = np.asarray(prompt, np.uint16).tobytes()
    answer = evaluator.ask("sample", task, 4 * count, {"temperature": temperature}, seed)
    tokens = np.frombuffer(answer, np.int32)
    return evaluator.data.decode(tokens[(tokens >= 0) & (tokens < evaluator.data.vocab_size)])
