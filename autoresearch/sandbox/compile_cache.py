"""The base's compile cache, the one thing that passes from trial to trial: each cell gets a copy of its own.

Only what the base compiled is kept: it is the human's code, and what a later version compiles dies with its cell.
Nothing in a cache is read here; it is only copied.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FOLDERS = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda"}
LIMIT = 4 << 30  # bytes


def lend(store: Path, tmp: Path) -> None:
    """Copy a kept cache, if there is one, into a cell's private folder."""
    for name in FOLDERS.values():
        if (store / name).is_dir():
            shutil.copytree(store / name, tmp / name)


def keep(tmp: Path, store: Path) -> None:
    """Copy the caches of a dead cell to `store`, all or nothing: regular files only, nothing if over 4 GiB."""
    files = [path for name in FOLDERS.values() for path in _regular(tmp / name)]
    if not files or sum(path.lstat().st_size for path in files) > LIMIT:
        return
    fresh = store.with_name(f"{store.name}.{os.getpid()}")
    for path in files:
        target = fresh / path.relative_to(tmp)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)
    shutil.rmtree(store, ignore_errors=True)
    fresh.rename(store)


def _regular(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names):
            if path.is_file() and not path.is_symlink():
                yield path
