"""Source `climbmix`: the training shards and validation shard of karpathy/autoresearch.

ClimbMix is a web corpus of NVIDIA; `karpathy/climbmix-400b-shuffle` on Hugging Face has it shuffled, in 6,543 Parquet
files. Training takes the first ones; the last one is split between `val` and `holdout`.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoresearch.config import expand_user
from autoresearch.data.corpus import Corpus, digest
from autoresearch.data.download import OnProgress, download, expected_size
from autoresearch.data.omissions import Omissions
from autoresearch.errors import UsageError, UserError, describe_install

ENDPOINT = "https://huggingface.co"  # or $HF_ENDPOINT, as in Hugging Face's own tools
DATASET_PATH = "datasets/karpathy/climbmix-400b-shuffle/resolve/main"
VALIDATION_SHARD = 6542  # the last one
DEFAULT_SHARDS = 10  # for training: half a billion tokens, as many as one H100 reads in five minutes
DISK_FACTOR = 3.0  # space for the shards and the rows made of them / size of the shards


@dataclass(frozen=True)
class Shards:
    """Paths of the shards, present or not."""

    folder: Path
    train: list[Path]
    validation: Path
    offline: bool  # nothing may be downloaded

    @property
    def paths(self) -> list[Path]:
        return [*self.train, self.validation]

    @property
    def missing(self) -> list[Path]:
        return [path for path in self.paths if not path.exists()]


def find_shards(source: str, count: int | None, cache: Path) -> Shards:
    """Locate the shards of `climbmix` or `climbmix:FOLDER`. Raises UserError."""
    count = DEFAULT_SHARDS if count is None else count
    if not 1 <= count <= VALIDATION_SHARD:
        raise UsageError(f"--shards {count} is out of range: use 1 to {VALIDATION_SHARD}")
    own = source.removeprefix("climbmix").removeprefix(":")
    folder = expand_user(own).absolute() if own else cache / "climbmix"
    *train, validation = (folder / f"shard_{number:05}.parquet" for number in (*range(count), VALIDATION_SHARD))
    shards = Shards(folder, train, validation, offline=bool(own))
    if own and shards.missing:
        names = ", ".join(path.name for path in shards.missing[:3])
        raise UserError(f"{folder} has no {names}: copy it there, or use fewer --shards")
    return shards


def download_missing(wanted: Shards, progress: bool) -> None:
    """Download missing shards one by one. Raises UserError, OSError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"climbmix comes as Parquet files, which need pyarrow: {describe_install('pyarrow')}")
    if not wanted.missing:
        return
    wanted.folder.mkdir(parents=True, exist_ok=True)
    base = f"{os.environ.get('HF_ENDPOINT', ENDPOINT).rstrip('/')}/{DATASET_PATH}"
    _check_disk_space(wanted, expected_size(f"{base}/{wanted.missing[0].name}"))
    missing = wanted.missing
    for number, path in enumerate(missing, 1):
        with _progress_bar(f"{path.name}, {number} of {len(missing)}", progress) as on_progress:
            download(f"{base}/{path.name}", path, on_progress)


def build_corpus(train: list[list[bytes]], validation: list[bytes], left_out: Omissions) -> Corpus:
    """Build a corpus of training shards and the validation shard, which keeps what is in both."""
    free = {digest(text): text for text in validation}
    documents = free | {digest(text): text for texts in train for text in texts}
    return Corpus(
        documents=documents,
        free=dict.fromkeys(free, ""),
        duplicates=sum(map(len, train)) + len(validation) - len(documents),
        left_out=left_out,
    )


def _check_disk_space(wanted: Shards, size: int) -> None:
    """Raise UserError if shards of `size` bytes and the rows made of them do not fit."""
    need = int(size * (len(wanted.missing) + (DISK_FACTOR - 1) * len(wanted.paths)))
    free = shutil.disk_usage(wanted.folder).free
    if need > free:
        what = f"{len(wanted.missing)} shards and their rows need about {need / 1e9:.1f} GB in {wanted.folder}"
        raise UserError(f"{what}, {free / 1e9:.1f} GB are free: use fewer --shards, or set AUTORESEARCH_CACHE")


@contextmanager
def _progress_bar(label: str, progress: bool) -> Iterator[OnProgress]:
    """Show a progress bar on a terminal, elsewhere one line."""
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
