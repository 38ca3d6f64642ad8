"""Make data sets that travel to a machine without a network: cut from a prepared one, or of made-up text.

Needs numpy and the standard library only, except to prepare the text that is cut.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from autoresearch.data.dataset import FORMAT, TOKEN_BYTES, TOKENIZER, Dataset
from autoresearch.errors import UserError
from autoresearch.files import JsonObject

TRAIN_TOKENS, VAL_ROWS, HOLDOUT_ROWS = 18_000_000, 1024, 4
MAX_BYTES = 45_000_000  # of the data set, so that it travels with the repository
WHEELS = ("nvidia-ml-py", "safetensors")  # what a machine with torch may lack; half a megabyte
PLATFORM = ("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64")

Rows = NDArray[np.uint16]


def cut(data: Dataset, folder: Path, train_tokens: int = TRAIN_TOKENS, val_rows: int = VAL_ROWS) -> Dataset:
    """Write a part of a data set into a new folder. Raises UserError if it is too large, or the folder there."""
    train = data.rows("train")[: -(-train_tokens // data.seq_len)]
    rows = {"train": train, "val": _spread(data, val_rows), "holdout": _spread(data, HOLDOUT_ROWS, "holdout")}
    tokenizer = data.root / TOKENIZER
    ranks = tokenizer.read_bytes() if tokenizer.exists() else b""
    if (size := sum(part.nbytes for part in rows.values()) + len(ranks)) > MAX_BYTES:
        raise UserError(f"the part would have {size / 1e6:.0f} MB, over {MAX_BYTES / 1e6:.0f}: take fewer tokens")
    return write(folder, rows, data.token_bytes().astype(np.uint16), ranks, data.meta)


def make_up(folder: Path, train_rows: int = 2000, val_rows: int = 64, seq_len: int = 64) -> Dataset:
    """Write a small data set of made-up text in plain bytes, to rehearse with."""
    rng = np.random.default_rng(0)
    words = [bytes(rng.integers(97, 123, size=size).astype(np.uint8)) + b" " for size in rng.integers(2, 9, size=300)]
    counts = {"train": train_rows, "val": val_rows, "holdout": HOLDOUT_ROWS}
    rows = {name: _text_rows(words, count, seq_len, rng) for name, count in counts.items()}
    lengths = np.ones(256, np.uint16)
    lengths[0] = 0
    meta = {
        "source": "made-up text",
        "vocab_size": 256,
        "seq_len": seq_len,
        "tokenizer": {"kind": "bytes", "pattern": None, "bos": 0},
        "duplicates": 0,
        "grade_note": None,
        "library_root": None,
        "readable_library": None,
    }
    return write(folder, rows, lengths, b"", meta)


def write(folder: Path, rows: Mapping[str, Rows], lengths: Rows, ranks: bytes, meta: JsonObject) -> Dataset:
    """Write a data set; the folder appears when it is complete. Raises UserError if it is there."""
    if folder.exists():
        raise UserError(f"{folder} is there: remove it, or choose another folder")
    partial = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "held").mkdir(mode=0o700, parents=True)
    files = {TOKEN_BYTES: lengths.tobytes()} | ({TOKENIZER: ranks} if ranks else {})
    files |= {("train-0000.bin" if name == "train" else f"held/{name}.bin"): rows[name].tobytes() for name in rows}
    for name, content in files.items():
        (partial / name).write_bytes(content)
    described = {
        "format": FORMAT,
        "splits": {name: _count(part, lengths) for name, part in rows.items()},
        "files": {name: _identify(content) for name, content in files.items()},
    }
    (partial / "meta.json").write_text(json.dumps(dict(meta) | described, indent=1) + "\n")
    partial.rename(folder)
    return Dataset.open(folder)


def download_wheels(folder: Path, python: str) -> str | None:
    """Download WHEELS for a Python version such as 3.12; return the reason if that fails."""
    target = ("--only-binary", ":all:", "--python-version", python, "--implementation", "cp", *PLATFORM)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *target, "-d", str(folder), *WHEELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def _spread(data: Dataset, count: int, split: str = "val") -> Rows:
    """Return `count` rows spread evenly over a held-out split."""
    rows = data.rows(split)
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)])


def _text_rows(words: list[bytes], count: int, seq_len: int, rng: np.random.Generator) -> Rows:
    weights = 1 / np.arange(1, len(words) + 1)
    text = b"".join(words[k] for k in rng.choice(len(words), count * (seq_len + 1), p=weights / weights.sum()))
    return np.frombuffer(text, np.uint8)[: count * (seq_len + 1)].astype(np.uint16).reshape(count, seq_len + 1)


def _count(rows: Rows, lengths: Rows) -> JsonObject:
    tokens = len(rows) * (rows.shape[1] - 1)
    return {"documents": 0, "bytes": int(lengths[rows[:, 1:]].sum()), "tokens": tokens, "rows": len(rows)}


def _identify(content: bytes) -> JsonObject:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
