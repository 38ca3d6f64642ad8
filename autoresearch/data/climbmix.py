"""The `climbmix` source: the shards that karpathy/autoresearch trains on, with its pinned validation shard.

ClimbMix is a web corpus of NVIDIA; `karpathy/climbmix-400b-shuffle` on Hugging Face has it shuffled, in 6,543 Parquet
files. Training takes the first of them; the last one is split between `val` and `holdout`.
"""

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoresearch.data.corpus import Corpus
from autoresearch.data.download import Told, download, expected_size
from autoresearch.errors import UsageError, UserError

ENDPOINT = "https://huggingface.co"  # or $HF_ENDPOINT, as in Hugging Face's own tools
PLACE = "datasets/karpathy/climbmix-400b-shuffle/resolve/main"
LAST = 6542  # number of the last shard, the validation shard
SHARDS = 10  # for training: half a billion tokens, which one H100 reads in five minutes
ROOM = 3.0  # times the size of the shards: themselves, and the rows made of them


@dataclass(frozen=True)
class Shards:
    """Which shards, and where they are or will be; `offline` where nothing may be downloaded."""

    folder: Path
    train: list[Path]
    held: Path
    offline: bool

    @property
    def paths(self) -> list[Path]:
        """All of them, the validation shard last."""
        return [*self.train, self.held]

    @property
    def missing(self) -> list[Path]:
        """Those that have to be downloaded."""
        return [path for path in self.paths if not path.exists()]


def shards(source: str, count: int | None, cache: Path) -> Shards:
    """The shards of `climbmix` or `climbmix:FOLDER`, the first `count` for training. Raises UserError."""
    count = SHARDS if count is None else count
    if not 1 <= count <= LAST:
        raise UsageError(f"no {count} shards: use 1 to {LAST}")
    given = source.removeprefix("climbmix").removeprefix(":")
    folder = Path(given).expanduser().absolute() if given else cache / "climbmix"
    found = Shards(folder, [folder / _name(k) for k in range(count)], folder / _name(LAST), bool(given))
    if given and found.missing:
        names = ", ".join(path.name for path in found.missing[:3])
        raise UserError(f"{folder} has no {names}: bring it there, or name fewer --shards")
    return found


def obtain(wanted: Shards, progress: bool) -> None:
    """Download what is missing, one shard after the other. Raises UserError, OSError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError("climbmix comes as Parquet files, which need pyarrow: pip install pyarrow")
    if not wanted.missing:
        return
    wanted.folder.mkdir(parents=True, exist_ok=True)
    base = f"{os.environ.get('HF_ENDPOINT', ENDPOINT).rstrip('/')}/{PLACE}"
    _check_room(wanted, expected_size(f"{base}/{wanted.missing[0].name}"))
    missing = wanted.missing
    for number, path in enumerate(missing, 1):
        with _bar(f"{path.name}, {number} of {len(missing)}", progress) as told:
            download(f"{base}/{path.name}", path, told)


def corpus(train: list[list[bytes]], held: list[bytes], skipped: int) -> Corpus:
    """The corpus of some training shards and the validation shard; what is in both counts as validation."""
    free = {_digest(text): text for text in held}
    documents = dict(free)
    documents |= {_digest(text): text for texts in train for text in texts}
    return Corpus(
        documents=documents,
        free=dict.fromkeys(free, ""),
        duplicates=sum(map(len, train)) + len(held) - len(documents),
        skipped=skipped,
    )


def _name(number: int) -> str:
    return f"shard_{number:05}.parquet"


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _check_room(wanted: Shards, size: int) -> None:
    """Raises UserError where shards of `size` bytes, and what is made of them, find no room."""
    need = int(size * (len(wanted.missing) + (ROOM - 1) * len(wanted.paths)))
    free = shutil.disk_usage(wanted.folder).free
    if need > free:
        what = f"{len(wanted.missing)} shards and their rows need about {need / 1e9:.1f} GB in {wanted.folder}"
        raise UserError(f"{what}, {free / 1e9:.1f} GB are free: name fewer --shards, or set AUTORESEARCH_CACHE")


@contextmanager
def _bar(label: str, progress: bool) -> Iterator[Told]:
    """A progress bar on a terminal; elsewhere a line."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True, quiet=not progress)
    if not console.is_terminal:
        console.print(f"downloading {label}", highlight=False)
        yield lambda done, total: None
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bars:
        task = bars.add_task(f"downloading {label}", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total or None)
