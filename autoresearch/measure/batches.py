"""Training rows as batches, inside a cell: their order, and their way to the device.

The order is drawn from the referee's seed, anew in each epoch. numpy is imported when it is needed; torch is passed in
by the caller.
"""

import importlib
import mmap
from collections.abc import Iterator
from types import ModuleType

from autoresearch.measure.answers import Array


def map_rows(fd: int, seq_len: int) -> Array:
    """Map the rows in a file, uint16 [n, seq_len + 1], read-only; of rows that were longer, as many as fit."""
    numpy = importlib.import_module("numpy")
    tokens = numpy.frombuffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ), dtype="uint16")
    return tokens[: len(tokens) - len(tokens) % (seq_len + 1)].reshape(-1, seq_len + 1)


class BatchStream:
    """The training rows, in one or more shards."""

    def __init__(self, shards: list[Array], seed: int) -> None:
        self.numpy = importlib.import_module("numpy")
        self.shards, self.seed = shards, seed
        self.rows_drawn = 0

    @property
    def epochs(self) -> float:
        return self.rows_drawn / sum(map(len, self.shards))

    def rows(self) -> Array:
        """Return all rows as one read-only array; several shards are copied into memory."""
        if len(self.shards) > 1:
            self.shards = [self.numpy.concatenate(self.shards)]
            self.shards[0].flags.writeable = False
        return self.shards[0]

    def batches(self, size: int, device: str, torch: ModuleType | None) -> Iterator[tuple[Array, Array]]:
        """Yield (x, y), int64 [size, seq_len], without end: tensors on the device, or arrays without torch."""
        buffers = _PinnedBuffers(self, size, device, torch) if device != "cpu" and torch is not None else None
        for picked in self._order(size):
            self.rows_drawn += size
            if buffers is not None:
                tokens = buffers.copy_to_device(picked)
            elif torch is not None:
                tokens = _to_int64(torch.from_numpy(self.gather(picked).view("int16")))
            else:
                tokens = self.gather(picked).astype("int64")
            yield tokens[:, :-1], tokens[:, 1:]

    def gather(self, picked: Array, out: Array = None) -> Array:
        """Return rows by their numbers, uint16 [len(picked), seq_len + 1], in `out` if it is given."""
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

    def _order(self, size: int) -> Iterator[Array]:
        numpy, total = self.numpy, sum(map(len, self.shards))
        order = numpy.empty(0, dtype="int64")
        epoch = 0
        while True:
            while len(order) < size:
                fresh = numpy.random.default_rng([self.seed, epoch]).permutation(total)
                order, epoch = numpy.concatenate([order, fresh]), epoch + 1
            picked, order = order[:size], order[size:]
            yield picked


class _PinnedBuffers:
    """Two pinned buffers for batches on their way to a card: one is filled while the other is copied.

    A buffer is written to again only when its copy has ended: training code may be batches ahead of the card.
    """

    def __init__(self, stream: BatchStream, size: int, device: str, torch: ModuleType) -> None:
        self.stream, self.device = stream, device
        shape = (size, stream.shards[0].shape[1])
        self.buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=True) for _ in range(2)]
        self.copied = [torch.cuda.Event(blocking=True) for _ in range(2)]  # waits without using a core

    def copy_to_device(self, picked: Array) -> Array:
        """Return rows by their numbers, int64 on the device, without waiting for the copy."""
        self.buffers.reverse()
        self.copied.reverse()
        self.copied[0].synchronize()  # returns at once the first time
        self.stream.gather(picked, self.buffers[0].numpy().view("uint16"))
        tokens = self.buffers[0].to(self.device, non_blocking=True)
        self.copied[0].record()
        return _to_int64(tokens)


def _to_int64(tokens: Array) -> Array:
    """Convert uint16 values in an int16 tensor."""
    return tokens.long().bitwise_and_(0xFFFF)
