"""Rows of training data predict every token once, from its own document."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.data import packing
from autoresearch.data.packing import BestFit, Contiguous, Tokens

SEPARATOR = 0


def documents(lengths: list[int]) -> list[Tokens]:
    """Make documents of unique tokens, each behind its separator."""
    ends = np.cumsum([1, *lengths])
    return [np.array([SEPARATOR, *range(a, b)], np.uint16) for a, b in pairwise(ends)]


def pack_rows(packer: BestFit | Contiguous, parts: list[Tokens]) -> Tokens:
    return np.concatenate([*map(packer.add, parts), *packer.finish()])


def pairs(rows: list[Tokens]) -> list[tuple[int, int]]:
    """List (token, predicted token), sorted, without predictions of separators."""
    return sorted((int(a), int(b)) for row in rows for a, b in pairwise(row) if b != SEPARATOR)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(2, 40), st.integers(1, 20))
def test_every_token_is_predicted_once_from_its_own_document(lengths: list[int], seq_len: int, buffer: int) -> None:
    texts = documents(lengths)
    before, packing.BUFFER_DOCUMENTS = packing.BUFFER_DOCUMENTS, buffer
    try:
        rows = pack_rows(BestFit(seq_len, SEPARATOR), texts)
        together = pack_rows(BestFit(seq_len, SEPARATOR), [np.concatenate(texts)])
    finally:
        packing.BUFFER_DOCUMENTS = before
    assert np.array_equal(rows, together)
    found, true = pairs(list(rows)), pairs(texts)
    assert set(found) <= set(true) and len(set(found)) == len(found)
    assert len(true) - len(found) <= seq_len
    for last, first in pairwise(rows):
        assert first[0] in (SEPARATOR, last[-1])


def test_documents_that_fit_are_hardly_ever_cut() -> None:
    lengths = np.random.default_rng(0).exponential(40, 1500).astype(int).clip(1, 200)
    texts = documents(lengths.tolist())
    fit, chunks = (pack_rows(packer, texts) for packer in (BestFit(256, SEPARATOR), Contiguous(256)))
    assert (fit[:, 0] == SEPARATOR).mean() > 0.95
    assert (chunks[:, 0] == SEPARATOR).mean() < 0.2


def test_contiguous_rows_are_the_stream() -> None:
    stream = np.concatenate(documents([30, 5, 70]))
    rows = pack_rows(Contiguous(16), np.split(stream, [1, 40, 41]))
    assert np.array_equal(np.concatenate([rows[0, :1], rows[:, 1:].ravel()]), stream[: 16 * len(rows) + 1])
    assert len(rows) == (len(stream) - 1) // 16
