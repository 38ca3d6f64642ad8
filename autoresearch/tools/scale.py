"""Versions for a card with batches that a CPU can compute in seconds."""

from autoresearch.source.constants import constants, with_constants

BATCH_WORDS = ("BATCH", "MICRO")


def with_small_batches(source: str, seq_len: int) -> str:
    """Return a version whose constants for batches are those of one row. Raises SyntaxError."""
    named = [each for each in constants(source) if any(word in each.name for word in BATCH_WORDS)]
    values = {each.name: seq_len if "TOKEN" in each.name else 1 for each in named if each.value > 1}
    return with_constants(source, values)
