"""The data set on a node: found in the node's own cache, or fetched once and verified by SHA-256."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from autoresearch.data.builder import find_dataset
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings

PUBLIC_MODE, HELD_MODE, FOLDER_MODE = 0o644, 0o600, 0o700  # as the builder writes them


class LackingError(Exception):
    """The node has no copy of some files, and the order has none with it."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)


@dataclass(frozen=True)
class DataFiles:
    """The files of a data set by name; `refs` are those that travel, as references to objects of Ray."""

    hash: str
    meta: Mapping[str, Any]
    names: tuple[str, ...]
    refs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Dataset) -> "DataFiles":
        return cls(data.hash, data.meta, tuple(sorted(data.meta["files"])))

    def referee(self, settings: Settings, cache: Path, fetch: Callable[[Any], bytes]) -> CellReferee:
        """Return the referee on a node, with all files in its cache. Raises LackingError, UserError."""
        return CellReferee(settings, self.open(cache, fetch))

    def open(self, cache: Path, fetch: Callable[[Any], bytes]) -> Dataset:
        """Return the data set in a node's cache, fetching what is missing. Raises LackingError, UserError."""
        if (data := find_dataset(cache, self.hash)) is not None:
            return data
        root = cache / "fleet" / self.hash
        root.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root.with_suffix(".lock")):
            missing = [name for name in self.names if not self._has(root, name)]
            if unsent := [name for name in missing if name not in self.refs]:
                raise LackingError(unsent)
            for name in missing:
                self._write(root, name, fetch(self.refs[name]))
        return Dataset(root, dict(self.meta))

    def _has(self, root: Path, name: str) -> bool:
        path = root / name
        return path.is_file() and path.stat().st_size == self.meta["files"][name]["size"]

    def _write(self, root: Path, name: str, content: bytes) -> None:
        require_hash(content, self.meta["files"][name]["sha256"], name)
        for folder in (root, (root / name).parent):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        mode = HELD_MODE if name.startswith("held/") else PUBLIC_MODE
        write_whole(root / name, content, mode)


@dataclass(frozen=True)
class DataSource:
    """The driver's end: the files that nodes may lack."""

    data: Dataset

    @property
    def files(self) -> DataFiles:
        return DataFiles.of(self.data)

    def read(self, name: str) -> bytes:
        return (self.data.root / name).read_bytes()


def require_hash(content: bytes, sha256: str, name: str) -> None:
    """Raise UserError if bytes are others than those that were sent."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{name} was damaged on its way to this node")


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file under its name when it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / "part"
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
        shutil.move(part, path)
