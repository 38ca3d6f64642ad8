"""Build a data set in its folder: splits, tokenizer, packed rows and meta.json."""

import fcntl
import hashlib
import itertools
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoresearch.data import corpus, omissions
from autoresearch.data.corpus import Corpus
from autoresearch.data.dataset import FORMAT, TOKEN_BYTES, TOKENIZER, Dataset, read_ranks
from autoresearch.data.encoding import PATTERN, chunks, encode, train_tokenizer
from autoresearch.data.packing import BestFit, Contiguous, Tokens
from autoresearch.data.sources import Source, version
from autoresearch.data.workers import say, spread, track
from autoresearch.errors import Blocker, UserError
from autoresearch.files import JsonObject

FEWEST_ROWS = 4  # in each split
SHARD_BYTES = 240 << 20  # of training rows in one file
HELD_OUT = ("val", "holdout")
BYTES = 256  # vocabulary of plain bytes

Search = Callable[[Dataset], str | None]  # returns the reason why held-out text is not hidden, or None


@dataclass(frozen=True)
class Builder:
    """Recipe of a data set: `name` is the source as the user wrote it."""

    name: str
    source: Source
    vocab_size: int
    seq_len: int
    search: Search
    progress: bool

    def path(self, cache: Path) -> Path:
        """Return the folder of the data set, made or not."""
        identity = json.dumps([FORMAT, self.source.identity]).encode()
        digest = hashlib.sha256(identity).hexdigest()[:10]
        return cache / "data" / f"{self.source.label}-{digest}-v{self.vocab_size}-t{self.seq_len}"

    def make(self, root: Path, verify: bool) -> None:
        """Build beside `root`, then rename it atomically, under a lock."""
        root.parent.mkdir(parents=True, exist_ok=True)
        with open(root.parent / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another prepare is running in this cache: waiting for it", self.progress)
                fcntl.flock(lock, fcntl.LOCK_EX)
            why = find_fault(root, verify)
            if why is None:  # made by another process while we waited
                return
            _remove_unfinished(root.parent)  # left by processes that were killed: we have the lock
            try:
                if root.exists():
                    say(f"{why.partition(': run')[0]}: building it again", self.progress)
                self._build(root.with_name(f".{root.name}.new"))
                if root.exists():
                    root.rename(root.with_name(f".{root.name}.old"))
                root.with_name(f".{root.name}.new").rename(root)
            finally:
                _remove_unfinished(root.parent)

    def _build(self, folder: Path) -> None:
        text = self.source.read(self.progress)
        splits = split(text.documents, text.free.keys(), self.source.share)
        texts = {name: [text.documents[digest] for digest in digests] for name, digests in splits.items()}
        for name, documents in texts.items():  # a token is at least a byte: fail before the work
            self._check_rows(name, (sum(map(len, documents)) + len(documents)) // self.seq_len, text)

        folder.mkdir(mode=0o700)  # the training text too: what runs before the clock starts has none of it
        (folder / "held").mkdir(mode=0o700)
        files = WrittenFiles(folder)
        ranks, bos, lengths = self._make_tokenizer(texts["train"])
        if ranks:
            files.append(TOKENIZER, ranks)
        files.append(TOKEN_BYTES, lengths.tobytes())
        counts = {name: self._pack(files, name, texts[name], ranks, bos, lengths) for name in splits}
        for name, count in counts.items():
            self._check_rows(name, count["rows"], text)
        hidden = {text.free[digest] for name in HELD_OUT for digest in splits[name]}
        meta = self._describe(folder, text, counts, files, bool(ranks), bos, hidden)
        meta["grade_note"] = self._find_grade_note(folder, meta, text)
        files.append("meta.json", (json.dumps(meta, indent=1) + "\n").encode())
        files.sync()

    def _describe(
        self,
        folder: Path,
        text: Corpus,
        counts: JsonObject,
        files: "WrittenFiles",
        has_ranks: bool,
        bos: int,
        hidden: Set[str],
    ) -> JsonObject:
        packages = ("numpy", "rustbpe", "tiktoken") if has_ranks else ("numpy",)
        return {
            "format": FORMAT,
            "source": self.name,
            "vocab_size": self.vocab_size,
            "seq_len": self.seq_len,
            "tokenizer": {
                "kind": "bpe" if has_ranks else "bytes",
                "pattern": PATTERN if has_ranks else None,
                "bos": bos,
            },
            "splits": counts,
            "duplicates": text.duplicates,
            "left_out": text.left_out.as_json(),
            "files": files.as_json(),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
            "grade_note": None,
            "library_root": text.library_root and str(text.library_root),
            "readable_library": text.library and [file for file in text.library if file not in hidden],
        }

    def _find_grade_note(self, folder: Path, meta: JsonObject, text: Corpus) -> str | None:
        """Return the reason why a cell might read val and holdout, or None."""
        found = self.search(Dataset(folder, meta))
        if text.grade_note is not None:
            return text.grade_note
        if corpus.is_readable(folder):
            return f"training code can read {folder.parent}: val and holdout are not hidden from it"
        return found

    def _make_tokenizer(self, texts: Sequence[bytes]) -> tuple[bytes, int, NDArray[np.uint16]]:
        """Return ranks (empty for plain bytes), the separator, and the length in bytes of each token."""
        if self.vocab_size == BYTES:
            ranks, bos, lengths = b"", 0, np.ones(BYTES, np.uint16)
        else:
            size = sum(map(len, texts)) / 1e6
            say(f"training a tokenizer of {self.vocab_size} tokens on {size:.1f} MB", self.progress)
            bos = self.vocab_size - 1
            ranks = train_tokenizer(texts, bos)
            lengths = np.array([*map(len, read_ranks(ranks)), 0], np.uint16)
        lengths[bos] = 0
        return ranks, bos, lengths

    def _pack(
        self,
        files: "WrittenFiles",
        name: str,
        texts: Sequence[bytes],
        ranks: bytes,
        bos: int,
        lengths: NDArray[np.uint16],
    ) -> dict[str, int]:
        """Encode a split, pack it into rows, write them, and return counts."""
        jobs = [(chunk, ranks, bos) for chunk in chunks(texts)]
        packer = BestFit(self.seq_len, bos) if name == "train" else Contiguous(self.seq_len)
        wanted, size, tokens, rows = sum(map(len, texts)), 0, 0, 0

        def counted(parts: Iterable[Tokens]) -> Iterator[Tokens]:
            nonlocal size, tokens
            for part in parts:
                size += int(lengths[part].sum())
                tokens += len(part)
                yield part

        encoded = track(spread(encode, jobs, wanted), f"encoding {name}", len(jobs), self.progress)
        for packed in itertools.chain(map(packer.add, counted(encoded)), packer.finish()):
            shard = f"train-{rows * (self.seq_len + 1) * 2 // SHARD_BYTES:04}.bin"
            files.append(shard if name == "train" else f"held/{name}.bin", packed.tobytes())
            rows += len(packed)
        if size != wanted:
            raise UserError(f"{name} has {wanted} bytes, its tokens {size}: please report this")
        return {"documents": len(texts), "bytes": size, "tokens": tokens, "rows": rows}

    def _check_rows(self, name: str, rows: int, text: Corpus) -> None:
        if rows < FEWEST_ROWS:
            what = f"too little text: {name} has {rows} rows of {self.seq_len} tokens, needs {FEWEST_ROWS}"
            left_out = omissions.describe(text.left_out.as_json())
            raise UserError(f"{what}; {left_out}" if left_out else what)


@dataclass
class WrittenFiles:
    """Files of a data set that is being written, with the size and the running SHA-256 of each."""

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    digests: dict[str, "hashlib._Hash"] = field(default_factory=dict)

    def append(self, name: str, data: bytes) -> None:
        mode = 0o600 if name.startswith("held/") else 0o644
        with open(self.folder / name, "ab", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            file.write(data)
        self.sizes[name] = self.sizes.get(name, 0) + len(data)
        self.digests.setdefault(name, hashlib.sha256()).update(data)

    def as_json(self) -> JsonObject:
        return {name: {"size": self.sizes[name], "sha256": sha.hexdigest()} for name, sha in self.digests.items()}

    def sync(self) -> None:
        for name in self.sizes:
            with open(self.folder / name, "rb") as file:
                os.fsync(file.fileno())


def split(documents: dict[str, bytes], free: Set[str], share: float) -> dict[str, list[str]]:
    """Return sorted digests by split; val and holdout take the lowest ones in `free`."""
    size = sum(map(len, documents.values()))
    target = min(share * size, sum(len(documents[digest]) for digest in free) / 2)
    splits: dict[str, list[str]] = {"train": [], **{name: [] for name in HELD_OUT}}
    filled = dict.fromkeys(HELD_OUT, 0)
    for digest in sorted(documents):
        name = next((name for name in HELD_OUT if digest in free and filled[name] < target), "train")
        splits[name].append(digest)
        if name != "train":
            filled[name] += len(documents[digest])
    return splits


def find_fault(root: Path, verify: bool) -> str | None:
    """Return the reason why the data set in `root` cannot be used, or None."""
    try:
        data = Dataset.open(root)
        if verify:
            data.verify()
    except Blocker as error:
        return str(error)
    return None


def find_dataset(cache: Path, wanted: str) -> Dataset | None:
    """Return a data set of the cache by its hash, whatever it was made from; None if there is none."""
    for path in sorted((cache / "data").glob("[!.]*/meta.json")):
        if find_fault(path.parent, verify=False) is None and (data := Dataset.open(path.parent)).hash == wanted:
            return data
    return None


def _remove_unfinished(folder: Path) -> None:
    for path in [*folder.glob(".*.new"), *folder.glob(".*.old")]:
        shutil.rmtree(path)
