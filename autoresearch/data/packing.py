"""Pack tokens into rows of `seq_len + 1`: contiguous for scoring, best fit for training.

Both take a stream `separator document separator document ...` in parts of any size, and return the same rows for any
division. A row that starts inside a document starts with the last token of the previous row: each token is predicted.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint16]

BUFFER_DOCUMENTS = 4096  # among which the best fit is searched


class Contiguous:
    """Packer of consecutive rows of the stream."""

    def __init__(self, seq_len: int) -> None:
        self.seq_len = seq_len
        self.rest = np.empty(0, np.uint16)

    def add(self, tokens: Tokens) -> Tokens:
        """Return the rows, uint16 [n, seq_len + 1], that further tokens complete."""
        rows, self.rest = _chunks(np.concatenate([self.rest, tokens]), self.seq_len)
        return rows

    def finish(self) -> Iterator[Tokens]:
        """Return no rows: the rest of the stream, shorter than a row, is dropped."""
        return iter(())


class BestFit:
    """Packer of documents in an order in which few of them are split.

    A row is filled with the longest document that still fits; the next row then starts with a separator. If none
    fits, the longest of all continues over as many rows as it needs. Only the end of the stream is dropped.
    """

    def __init__(self, seq_len: int, bos: int) -> None:
        self.seq_len, self.bos = seq_len, bos
        self.rest = np.empty(0, np.uint16)  # of the document that was split last
        self.documents: list[tuple[int, int, Tokens]] = []  # length, number, tokens; the shortest first
        self.count = 0  # documents so far
        self.buffered_tokens = 0  # in `documents`

    def add(self, tokens: Tokens) -> Tokens:
        """Return the rows, uint16 [n, seq_len + 1], that further whole documents complete."""
        rows = [np.empty((0, self.seq_len + 1), np.uint16)]
        for document in np.split(tokens, np.flatnonzero(tokens == self.bos)[1:]):
            self.count += 1
            self.buffered_tokens += len(document)
            insort(self.documents, (len(document), self.count, document.copy()))  # a view would keep all of `tokens`
            while len(self.documents) > BUFFER_DOCUMENTS and self._has_row():
                rows.append(self._next_rows())
        return np.concatenate(rows)

    def finish(self) -> Iterator[Tokens]:
        """Yield the remaining rows in groups."""
        while self._has_row():
            yield np.concatenate([self._next_rows() for _ in range(8) if self._has_row()])

    def _has_row(self) -> bool:
        return len(self.rest) + self.buffered_tokens > self.seq_len

    def _next_rows(self) -> Tokens:
        """Return one row, or several if its last document is long."""
        parts, free = [self.rest], self.seq_len + 1 - len(self.rest)
        while free > 0:
            best = bisect_right(self.documents, (free, self.count + 1)) - 1  # -1 if none fits: the longest
            length, _, document = self.documents.pop(best)
            self.buffered_tokens -= length
            parts.append(document)
            free -= length
        rows, rest = _chunks(np.concatenate(parts), self.seq_len)
        self.rest = rest if len(rest) > 1 else rest[:0]  # one token ends a document, and is already predicted
        return rows


def _chunks(stream: Tokens, seq_len: int) -> tuple[Tokens, Tokens]:
    """Return the whole rows of a stream, and the rest from the last token of the last row on."""
    count = max(0, len(stream) - 1) // seq_len
    if count == 0:
        return np.empty((0, seq_len + 1), np.uint16), stream
    windows = np.lib.stride_tricks.sliding_window_view(stream, seq_len + 1)
    return windows[: count * seq_len : seq_len], stream[count * seq_len :]
