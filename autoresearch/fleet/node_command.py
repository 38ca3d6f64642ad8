"""What a command of the user's needs on a node: the files of the base, and those that are read beside git."""

import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import filelock

from autoresearch.fleet.node_data import FOLDER_MODE, LackingError, require_hash
from autoresearch.measure.command_referee import CommandReferee
from autoresearch.measure.command_spec import CommandSpec, Step
from autoresearch.measure.guards import CommandGuard
from autoresearch.measure.settings import Settings

Reads = TypeVar("Reads", Step, CommandGuard)

BASE = "base"  # name of the archive of the base; those of other files are their places


@dataclass(frozen=True)
class CommandFiles:
    """A command and the archives that it needs, by name: their SHA-256, and references to those that travel."""

    spec: CommandSpec
    archives: Mapping[str, str]
    refs: Mapping[str, Any] = field(default_factory=dict)

    def referee(self, settings: Settings, cache: Path, fetch: Callable[[Any], bytes]) -> CommandReferee:
        """Return the referee on a node, with all files in its cache. Raises LackingError, UserError."""
        places = {name: cache / "fleet" / hash for name, hash in self.archives.items()}
        missing = [name for name, place in places.items() if not place.exists()]
        if unsent := [name for name in missing if name not in self.refs]:
            raise LackingError(unsent)
        for name in missing:
            self._unpack(name, places[name], fetch)
        spec = replace(self._with_files(places), python=sys.executable, runtime=())
        return CommandReferee(settings, spec, partial(_copy, places[BASE] / BASE))

    def _with_files(self, places: Mapping[str, Path]) -> CommandSpec:
        """Return the command as it reads the copies of a node."""
        spec = self.spec
        guards = (_read_here(guard, places) if isinstance(guard, CommandGuard) else guard for guard in spec.guards)
        return replace(
            spec,
            run=_read_here(spec.run, places),
            score=spec.score and _read_here(spec.score, places),
            holdout=spec.holdout and _read_here(spec.holdout, places),
            guards=tuple(guards),
        )

    def _unpack(self, name: str, place: Path, fetch: Callable[[Any], bytes]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(place.with_suffix(".lock")):
            if place.exists():
                return
            content = fetch(self.refs[name])
            require_hash(content, self.archives[name], name)
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                whole = Path(folder) / "whole"
                whole.mkdir(mode=FOLDER_MODE)
                with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                    archive.extractall(whole, filter="tar")
                whole.rename(place)


@dataclass
class CommandSource:
    """The driver's end: the files that nodes may lack, as archives. `export` writes the files of the base."""

    spec: CommandSpec
    export: Callable[[Path], None]
    _archives: dict[str, bytes] = field(default_factory=dict)

    @property
    def files(self) -> CommandFiles:
        if not self._archives:
            self._pack()
        return CommandFiles(self.spec, {name: _hash(content) for name, content in self._archives.items()})

    def read(self, name: str) -> bytes:
        return self._archives[name]

    def _pack(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder) / BASE
            base.mkdir()
            self.export(base)
            self._archives[BASE] = _archive(base, BASE)
        steps = (self.spec.run, self.spec.score, self.spec.holdout, *self.spec.command_guards)
        for name, path in ((name, path) for step in steps if step for name, path in step.read.items()):
            self._archives[name] = _archive(path, "file")


def _read_here(step: Reads, places: Mapping[str, Path]) -> Reads:
    """Return a step that reads the copies of a node."""
    return replace(step, read={name: places[name] / "file" for name in step.read})


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)


def _archive(path: Path, name: str) -> bytes:
    """Return a file or a folder as an archive whose bytes depend on names, modes and contents only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(path.resolve(), name, filter=_without_owner)
    return buffer.getvalue()


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
