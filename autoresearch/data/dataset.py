"""Read a prepared data set: packed rows, byte lengths of tokens, and an identity.

`builder.py` writes it. This module needs numpy and the standard library only.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoresearch.errors import Blocker

FORMAT = 2
TOKENIZER = "tokenizer.tiktoken"
TOKEN_BYTES = "token_bytes.bin"

_ENDING = re.compile(r"\.\w{1,8}")
KINDS = {  # of text, by source
    "sotu": "English prose: messages of the presidents of the United States",
    "climbmix": "web text (climbmix)",
    "stdlib": "program text: Python's standard library",
    "files": "text files of the user",
}

_LIBRARY_NOTE = (
    "training code can read the training text and some lines of val and holdout, which come from Python's own library: "
    "use the default source, or text of your own"
)


@dataclass(frozen=True)
class Dataset:
    """A data set on disk; `meta` is the content of its meta.json."""

    root: Path
    meta: dict[str, Any]

    @classmethod
    def open(cls, root: Path) -> "Dataset":
        """Open the data set in folder `root` after checking the size of each of its files.

        Raises Blocker if there is none or it is damaged.
        """
        data = cls(root, _read_meta(root))
        for name, entry in data.meta["files"].items():
            data._check_size(name, entry["size"])
        return data

    def verify(self) -> None:
        """Compare the SHA-256 of every file. Raises Blocker with the name of the first bad file."""
        for name, entry in self.meta["files"].items():
            self._check_size(name, entry["size"])
            with (self.root / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    raise _damage(self.root, f"the content of {name} has changed")

    @property
    def vocab_size(self) -> int:
        """Return the number of token ids, including the document separator."""
        return int(self.meta["vocab_size"])

    @property
    def seq_len(self) -> int:
        """Return the number of tokens predicted in a row; rows are one token longer."""
        return int(self.meta["seq_len"])

    @property
    def hash(self) -> str:
        """Return 16 hex digits that identify content and settings."""
        settings = {key: self.meta[key] for key in ("format", "vocab_size", "seq_len", "tokenizer")}
        contents = {name: entry["sha256"] for name, entry in self.meta["files"].items()}
        text = json.dumps([settings, contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def kind(self) -> str:
        """Return what kind of text it is, without any path of the user."""
        source = str(self.meta["source"])
        kind = KINDS.get(source.partition(":")[0], "text")
        endings = sorted({path.suffix for path in map(Path, source.split(",")) if _ENDING.fullmatch(path.suffix)})
        return f"{kind} ({', '.join(endings)})" if source.startswith("files:") and endings else kind

    @property
    def train_rows(self) -> int:
        """Return the number of training rows."""
        size = sum(self.meta["files"][shard.name]["size"] for shard in self.train_shards())
        return int(size // (2 * (self.seq_len + 1)))

    @property
    def bytes_per_token(self) -> float | None:
        """Return the mean length of a training token's text; None if the data set does not say."""
        train = self.meta["splits"].get("train", {})
        return train["bytes"] / train["tokens"] if train.get("tokens") else None

    def train_shards(self) -> list[Path]:
        """Return the files of the training rows in order, uint16 [n, seq_len + 1] each."""
        return [self.root / name for name in sorted(self.meta["files"]) if name.startswith("train-")]

    def rows(self, split: str) -> NDArray[np.uint16]:
        """Return the rows of a split, uint16 [n, seq_len + 1], read-only.

        They are memory-mapped, except training rows in several shards, which are read into memory.
        """
        shards = self.train_shards() if split == "train" else [self.root / "held" / f"{split}.bin"]
        maps = [self._map(shard) for shard in shards]
        if len(maps) == 1:
            return maps[0]
        rows: NDArray[np.uint16] = np.concatenate(maps)
        rows.flags.writeable = False
        return rows

    def draw_training_rows(self, count: int, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return random rows of the first training shard."""
        rows = self._map(self.train_shards()[0])
        return np.asarray(rows[np.sort(rng.integers(len(rows), size=count))])

    def _map(self, shard: Path) -> NDArray[np.uint16]:
        return np.memmap(shard, np.uint16, "r").reshape(-1, self.seq_len + 1)

    def token_bytes(self) -> NDArray[np.int64]:
        """Return the length in bytes of each token's text, int64 [V]; 0 for the document separator."""
        return np.fromfile(self.root / TOKEN_BYTES, np.uint16).astype(np.int64)

    def readable_library(self) -> list[str] | None:
        """Return the library files that a cell may read, relative to the library; None: all."""
        files: list[str] | None = self.meta["readable_library"]
        return files

    @property
    def weaknesses(self) -> list[str]:
        """Return the reasons why a cell might read validation text."""
        notes = [self.meta["grade_note"], _LIBRARY_NOTE if self.meta["source"] == "stdlib" else None]
        return [note for note in notes if note]

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """Return what was left out of the corpus: `reason`, `count` and `example`; unknown before version 0.4."""
        entries: list[dict[str, Any]] = self.meta.get("left_out", [])
        return entries

    def decode(self, tokens: Iterable[int] | NDArray[Any], separator: bytes = b"") -> bytes:
        """Return the text of tokens, with `separator` for each document separator."""
        table = self._token_table()
        table[self.meta["tokenizer"]["bos"]] = separator
        numbers = tokens.tolist() if isinstance(tokens, np.ndarray) else tokens
        return b"".join([table[int(number)] for number in numbers])

    def _token_table(self) -> list[bytes]:
        if self.meta["tokenizer"]["kind"] == "bytes":
            table = [bytes([value]) for value in range(256)]
        else:
            table = [*read_ranks((self.root / TOKENIZER).read_bytes()), b""]
        return table

    def _check_size(self, name: str, size: int) -> None:
        try:
            found = (self.root / name).stat().st_size
        except OSError as error:
            raise _damage(self.root, f"{name}: {error.strerror}") from None
        if found != size:
            raise _damage(self.root, f"{name} has {found} bytes instead of {size}")


def read_ranks(text: bytes) -> list[bytes]:
    """Return each token's bytes by rank, from lines `base64 rank`, the text format of tiktoken."""
    return [base64.b64decode(line.split()[0]) for line in text.splitlines()]


def _read_meta(root: Path) -> dict[str, Any]:
    try:
        meta = json.loads((root / "meta.json").read_bytes())
    except FileNotFoundError:
        raise Blocker(f"no data set {root}: run `autoresearch prepare`") from None
    except (OSError, ValueError) as error:
        raise _damage(root, f"meta.json cannot be read ({error})") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or "files" not in meta:
        raise _damage(root, "meta.json has another format than this version writes")
    return meta


def _damage(root: Path, reason: str) -> Blocker:
    return Blocker(f"data set {root.name} is damaged ({reason}): run `autoresearch prepare`")
