"""Trials of a card made so small that a CPU can compute their steps in seconds."""

from dataclasses import replace

from autoresearch.data.dataset import Dataset
from autoresearch.source.constants import constants, with_constants

BATCH_WORDS = ("BATCH", "MICRO")
MAX_SEQ_LEN = 256


def with_small_batches(source: str, seq_len: int) -> str:
    """Return a version whose constants for batches are those of one row. Raises SyntaxError."""
    named = [each for each in constants(source) if any(word in each.name for word in BATCH_WORDS)]
    values = {each.name: seq_len if "TOKEN" in each.name else 1 for each in named if each.value > 1}
    return with_constants(source, values)


def with_short_rows(data: Dataset) -> Dataset:
    """Return a data set whose training rows are read as shorter ones. Only its training rows can be used."""
    return replace(data, meta={**data.meta, "seq_len": min(data.seq_len, MAX_SEQ_LEN)})
