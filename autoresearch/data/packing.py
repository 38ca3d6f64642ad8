"""Tokens into rows of `seq_len + 1`, once: contiguous chunks for what is scored, best fit for training.

Both take a stream `separator document separator document ...` in parts, and give the same rows however it is parted.
A row that begins inside a document begins with the last token of the row before, so that no token is left unpredicted.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint16]

BUFFER = 4096  # documents among which the best fit is looked for


class Contiguous:
    """Rows that follow each other in the stream."""

    def __init__(self, seq_len: int) -> None:
        self.seq_len = seq_len
        self.rest = np.empty(0, np.uint16)

    def add(self, tokens: Tokens) -> Tokens:
        """The rows, uint16 [n, seq_len + 1], that more of the stream gives."""
        rows, self.rest = _chunks(np.concatenate([self.rest, tokens]), self.seq_len)
        return rows

    def finish(self) -> Iterator[Tokens]:
        """No more rows: the end of the stream makes no whole one and is dropped."""
        return iter(())


class BestFit:
    """Rows of documents in an order by which few of them are cut.

    A row is filled with the longest document that still fits; the next row then begins with a separator. Where none
    fits, the longest of all goes on over as many rows as it needs. Nothing but the very end is dropped.
    """

    def __init__(self, seq_len: int, bos: int) -> None:
        self.seq_len, self.bos = seq_len, bos
        self.rest = np.empty(0, np.uint16)  # of the document that was cut last
        self.documents: list[tuple[int, int, Tokens]] = []  # length, number, tokens: the shortest first
        self.taken = 0
        self.waiting = 0  # tokens in `documents`

    def add(self, tokens: Tokens) -> Tokens:
        """The rows, uint16 [n, seq_len + 1], that more documents give, each of them whole."""
        made = [np.empty((0, self.seq_len + 1), np.uint16)]
        for document in np.split(tokens, np.flatnonzero(tokens == self.bos)[1:]):
            self.taken += 1
            self.waiting += len(document)
            insort(self.documents, (len(document), self.taken, document.copy()))  # a view would keep all of `tokens`
            while len(self.documents) > BUFFER and self._left():
                made.append(self._next())
        return np.concatenate(made)

    def finish(self) -> Iterator[Tokens]:
        """The rows that are left, some at a time."""
        while self._left():
            yield np.concatenate([self._next() for _ in range(8) if self._left()])

    def _left(self) -> bool:
        return len(self.rest) + self.waiting > self.seq_len

    def _next(self) -> Tokens:
        """One row, or all rows that its last document goes on for."""
        parts, room = [self.rest], self.seq_len + 1 - len(self.rest)
        while room > 0:
            best = bisect_right(self.documents, (room, self.taken + 1)) - 1  # -1, where none fits: the longest
            length, _, document = self.documents.pop(best)
            self.waiting -= length
            parts.append(document)
            room -= length
        rows, rest = _chunks(np.concatenate(parts), self.seq_len)
        self.rest = rest if len(rest) > 1 else rest[:0]  # one token: the last of a document, predicted already
        return rows


def _chunks(stream: Tokens, seq_len: int) -> tuple[Tokens, Tokens]:
    """The whole rows of a stream, and what is left, beginning with the last token of the last row."""
    count = max(0, len(stream) - 1) // seq_len
    if count == 0:
        return np.empty((0, seq_len + 1), np.uint16), stream
    windows = np.lib.stride_tricks.sliding_window_view(stream, seq_len + 1)
    return windows[: count * seq_len : seq_len], stream[count * seq_len :]
