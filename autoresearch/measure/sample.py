"""Text that a checkpoint goes on with: its tokens are drawn in a cell, and put into words here."""

import numpy as np

from autoresearch.data.dataset import Dataset
from autoresearch.measure.score import ask
from autoresearch.measure.settings import Settings


def sample(
    source: str,
    checkpoint: int,
    prompt: list[int],
    count: int,
    temperature: float,
    seed: int,
    settings: Settings,
    data: Dataset,
) -> bytes:
    """`count` tokens after those of `prompt` (one or more), as bytes of text. Raises EvaluationError, CellError.

    With temperature 0 each token is the likeliest one. What the cell answers that is no token is left out.
    """
    task = np.asarray(prompt, np.uint16).tobytes()
    answer = ask("sample", source, checkpoint, task, 4 * count, settings, data, seed, temperature=temperature)
    tokens = np.frombuffer(answer, np.int32)
    return data.decode(tokens[(tokens >= 0) & (tokens < data.vocab_size)])
