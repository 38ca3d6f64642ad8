"""Training rows as batches, inside a cell: which rows come when, and their way to the device.

The order is drawn from the referee's seed, anew in each epoch. numpy is imported when it is needed; torch is brought
by whoever uses it, or not at all.
"""

import importlib
import mmap
from collections.abc import Iterator
from typing import Any


def map_rows(fd: int, seq_len: int) -> Any:
    """The rows in a file, uint16 [n, seq_len + 1], read-only."""
    numpy = importlib.import_module("numpy")
    return numpy.frombuffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ), dtype="uint16").reshape(-1, seq_len + 1)


class BatchStream:
    """All training rows, in one or more shards."""

    def __init__(self, shards: list[Any], seed: int) -> None:
        self.numpy = importlib.import_module("numpy")
        self.shards, self.seed = shards, seed
        self.drawn = 0  # rows

    @property
    def epochs(self) -> float:
        """How many times the rows have been drawn."""
        return self.drawn / sum(map(len, self.shards))

    def rows(self) -> Any:
        """All of them in one array, read-only; several shards are copied into memory."""
        if len(self.shards) > 1:
            self.shards = [self.numpy.concatenate(self.shards)]
            self.shards[0].flags.writeable = False
        return self.shards[0]

    def batches(self, size: int, device: str, torch: Any) -> Iterator[tuple[Any, Any]]:
        """Endless (x, y), int64 [size, seq_len]: tensors on the device, or numpy arrays where torch is None."""
        belt = _Belt(self, size, device, torch) if device != "cpu" and torch is not None else None
        for picked in self._order(size):
            self.drawn += size
            if belt is not None:
                tokens = belt.carry(picked)
            elif torch is not None:
                tokens = _widened(torch.from_numpy(self.gather(picked).view("int16")))
            else:
                tokens = self.gather(picked).astype("int64")
            yield tokens[:, :-1], tokens[:, 1:]

    def gather(self, picked: Any, out: Any = None) -> Any:
        """Rows by their numbers, uint16 [len(picked), seq_len + 1], into `out` where it is given."""
        numpy = self.numpy
        if len(self.shards) == 1:  # "clip" writes to `out` without a buffer; no number is out of range
            return numpy.take(self.shards[0], picked, 0, out, "clip")
        out = numpy.empty((len(picked), self.shards[0].shape[1]), "uint16") if out is None else out
        first = numpy.cumsum([0, *map(len, self.shards)])
        shard_of = numpy.searchsorted(first, picked, side="right") - 1
        for shard in numpy.unique(shard_of):
            here = shard_of == shard
            out[here] = self.shards[shard][picked[here] - first[shard]]
        return out

    def _order(self, size: int) -> Iterator[Any]:
        numpy, total = self.numpy, sum(map(len, self.shards))
        order = numpy.empty(0, dtype="int64")
        epoch = 0
        while True:
            while len(order) < size:
                fresh = numpy.random.default_rng([self.seed, epoch]).permutation(total)
                order, epoch = numpy.concatenate([order, fresh]), epoch + 1
            picked, order = order[:size], order[size:]
            yield picked


class _Belt:
    """Batches on their way to a card: one of two pinned buffers is filled while the other one is copied.

    A buffer is written to again only when its copy has ended: training code may be batches ahead of the card.
    """

    def __init__(self, feed: BatchStream, size: int, device: str, torch: Any) -> None:
        self.feed, self.device = feed, device
        shape = (size, feed.shards[0].shape[1])
        self.buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=True) for _ in range(2)]
        self.copied = [torch.cuda.Event() for _ in range(2)]

    def carry(self, picked: Any) -> Any:
        """Rows by their numbers, int64 on the device; does not wait for the device to be through with them."""
        self.buffers.reverse()
        self.copied.reverse()
        self.copied[0].synchronize()  # at once, the first time
        self.feed.gather(picked, self.buffers[0].numpy().view("uint16"))
        tokens = self.buffers[0].to(self.device, non_blocking=True)
        self.copied[0].record()
        return _widened(tokens)


def _widened(tokens: Any) -> Any:
    """uint16 that travelled as int16, as int64."""
    return tokens.long().bitwise_and_(0xFFFF)
