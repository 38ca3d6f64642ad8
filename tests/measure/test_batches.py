"""Batches: an order drawn from the seed, every row once an epoch, in one shard or in many."""

from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autoresearch.measure.batches import BatchStream

ROWS = np.arange(65536 - 7 * 30, 65536, dtype=np.uint16).reshape(30, 7)  # beyond what an int16 holds


def taken(feed: BatchStream, size: int, count: int, torch: Any = None) -> list[tuple[Any, Any]]:
    return list(islice(feed.batches(size, "cpu", torch), count))


def test_every_row_comes_once_in_an_epoch() -> None:
    feed = BatchStream([ROWS], 3)
    batches = taken(feed, 10, 6)
    for epoch in (batches[:3], batches[3:]):
        rows = np.concatenate([np.concatenate([x, y[:, -1:]], 1) for x, y in epoch])
        assert np.array_equal(rows[np.argsort(rows[:, 0])], ROWS)
    assert not np.array_equal(batches[0][0], batches[3][0])
    assert feed.epochs == 2.0


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (np.stack([x for x, _ in taken(BatchStream([ROWS], seed), 4, 9)]) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shards_make_no_difference() -> None:
    one, many = BatchStream([ROWS], 5), BatchStream([ROWS[:1], ROWS[1:13], ROWS[13:]], 5)
    assert all(np.array_equal(a, b) for a, b in zip(taken(one, 4, 20), taken(many, 4, 20), strict=True))
    assert np.array_equal(many.rows(), ROWS)
    assert all(np.array_equal(a, b) for a, b in zip(taken(one, 4, 2), taken(many, 4, 2), strict=True))


@pytest.mark.slow
@pytest.mark.torch
def test_tensors_hold_what_arrays_hold() -> None:
    import torch

    arrays, tensors = taken(BatchStream([ROWS], 1), 4, 9), taken(BatchStream([ROWS], 1), 4, 9, torch)
    for (x, y), (tx, ty) in zip(arrays, tensors, strict=True):
        assert x.dtype == np.int64 and tx.dtype == torch.int64
        assert np.array_equal(x, tx.numpy()) and np.array_equal(y, ty.numpy())
    assert int(tensors[0][0].min()) > 65000


class LateCard:
    """A card as a loader sees it through torch: copies to it end when somebody waits for them, and no sooner."""

    int16 = np.int16

    def __init__(self) -> None:
        self.queue: list[Any] = []  # copies that are promised, and events between them
        self.cuda = SimpleNamespace(Event=lambda blocking: Event(self, blocking))

    def empty(self, shape: tuple[int, int], dtype: Any, pin_memory: bool) -> "Pinned":
        assert pin_memory
        return Pinned(self, np.empty(shape, dtype))

    def work(self, until: Any = None) -> None:
        while self.queue and self.queue[0] is not until:
            promised = self.queue.pop(0)
            if callable(promised):
                promised()


class Event:
    def __init__(self, card: LateCard, blocking: bool) -> None:
        assert blocking  # or a wait would use a whole core
        self.card = card

    def record(self) -> None:
        self.card.queue.append(self)

    def synchronize(self) -> None:
        if self in self.card.queue:
            self.card.work(until=self)


class Pinned:
    def __init__(self, card: LateCard, array: Any) -> None:
        self.card, self.array = card, array

    def numpy(self) -> Any:
        return self.array

    def to(self, device: str, non_blocking: bool) -> "Arriving":
        assert device == "cuda" and non_blocking
        there = np.zeros(self.array.shape, np.int64)
        self.card.queue.append(lambda: np.copyto(there, self.array))
        return Arriving(there)


class Arriving:
    """A tensor that is on the card after its copy."""

    def __init__(self, there: Any) -> None:
        self.there = there

    def long(self) -> "Arriving":
        return self

    def bitwise_and_(self, mask: int) -> Any:
        return self.there


def test_a_buffer_is_not_filled_again_before_it_is_copied() -> None:
    """The race of a single pinned buffer: training code is batches ahead of the card."""
    card: Any = LateCard()
    late = list(islice(BatchStream([ROWS], 1).batches(4, "cuda", card), 9))
    assert len([promised for promised in card.queue if callable(promised)]) == 2, "two batches are on their way"
    card.work()
    for (x, y), (a, b) in zip(late, taken(BatchStream([ROWS], 1), 4, 9), strict=True):
        assert np.array_equal(x & 0xFFFF, a) and np.array_equal(y & 0xFFFF, b)
