"""Batches: an order drawn from the seed, every row once an epoch, in one shard or in many."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from autoresearch.measure.feed import Feed

ROWS = np.arange(65536 - 7 * 30, 65536, dtype=np.uint16).reshape(30, 7)  # beyond what an int16 holds


def taken(feed: Feed, size: int, count: int, torch: Any = None) -> list[tuple[Any, Any]]:
    return list(islice(feed.batches(size, "cpu", torch), count))


def test_every_row_comes_once_in_an_epoch() -> None:
    feed = Feed([ROWS], 3)
    batches = taken(feed, 10, 6)
    for epoch in (batches[:3], batches[3:]):
        rows = np.concatenate([np.concatenate([x, y[:, -1:]], 1) for x, y in epoch])
        assert np.array_equal(rows[np.argsort(rows[:, 0])], ROWS)
    assert not np.array_equal(batches[0][0], batches[3][0])
    assert feed.epochs == 2.0


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (np.stack([x for x, _ in taken(Feed([ROWS], seed), 4, 9)]) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shards_make_no_difference() -> None:
    one, many = Feed([ROWS], 5), Feed([ROWS[:1], ROWS[1:13], ROWS[13:]], 5)
    assert all(np.array_equal(a, b) for a, b in zip(taken(one, 4, 20), taken(many, 4, 20), strict=True))
    assert np.array_equal(many.rows(), ROWS)
    assert all(np.array_equal(a, b) for a, b in zip(taken(one, 4, 2), taken(many, 4, 2), strict=True))


@pytest.mark.torch
def test_tensors_hold_what_arrays_hold() -> None:
    import torch

    arrays, tensors = taken(Feed([ROWS], 1), 4, 9), taken(Feed([ROWS], 1), 4, 9, torch)
    for (x, y), (tx, ty) in zip(arrays, tensors, strict=True):
        assert x.dtype == np.int64 and tx.dtype == torch.int64
        assert np.array_equal(x, tx.numpy()) and np.array_equal(y, ty.numpy())
    assert int(tensors[0][0].min()) > 65000
