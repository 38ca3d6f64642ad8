"""Measure tokenizing, packing and loading of batches on one core, in tokens per CPU-second.

    python benchmarks/loader.py [--megabytes 20] [--million-tokens 100]

The text is Python's library, repeated until it is long enough; rows are in a file in the page cache.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from autoresearch.data import encoding, stdlib
from autoresearch.data.documents import read_file
from autoresearch.data.packing import BestFit
from autoresearch.measure.batches import BatchStream, map_rows

VOCABULARY = 8192
SHAPES = ((2048, 64), (64, 16))  # tokens in a row, rows in a batch: a GPU's and the CPU profile's


def documents(size: int) -> list[bytes]:
    """Return source files of at least `size` bytes in total."""
    root = stdlib.library_root()
    texts = [text for name in stdlib.library_files(root) for text in read_file(str(root / name)).texts]
    return texts * -(-size // sum(map(len, texts)))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU-seconds of an action, and its result."""
    began = time.process_time()
    value = action()
    return time.process_time() - began, value


def batches(rows: Path, seq_len: int, size: int, torch: Any) -> float:
    """Return the loader's tokens per CPU-second over one epoch."""
    with rows.open("rb") as file:
        feed = BatchStream([map_rows(file.fileno(), seq_len)], seed=0)
    count = len(feed.shards[0]) // size
    feed.shards[0].sum()  # into the page cache
    list(islice(feed.batches(size, "cpu", torch), 10))
    seconds, _ = timed(lambda: [None for _ in islice(feed.batches(size, "cpu", torch), count)])
    return count * size * seq_len / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--million-tokens", type=int, default=100)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    texts = documents(options.megabytes * 10**6)
    size = sum(map(len, texts))
    print("| part | million tokens a second |\n|---|---|")
    ranks = encoding.train_tokenizer(texts, VOCABULARY - 1)
    encoding.encoder(ranks)
    seconds, tokens = timed(lambda: encoding.encode((texts, ranks, VOCABULARY - 1)))
    print(f"| tokenize ({size / seconds / 1e6:.1f} MB/s) | {len(tokens) / seconds / 1e6:.2f} |")
    for seq_len, _ in SHAPES:
        packer = BestFit(seq_len, VOCABULARY - 1)
        seconds, _ = timed(lambda packer=packer: [packer.add(tokens), *packer.finish()])
        print(f"| pack, rows of {seq_len} | {len(tokens) / seconds / 1e6:.0f} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.bin")
        for seq_len, rows in SHAPES:
            count = options.million_tokens * 10**6 // seq_len
            np.random.default_rng(0).integers(0, VOCABULARY, (count, seq_len + 1), np.uint16).tofile(path)
            for name, brought in (("numpy", None), ("torch", torch)):
                speed = batches(path, seq_len, rows, brought)
                print(f"| load, {rows} rows of {seq_len}, {name} | {speed / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
