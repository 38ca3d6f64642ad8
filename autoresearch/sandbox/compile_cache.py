"""Compile cache of the base, the only data that passes from trial to trial: each cell gets a copy of its own.

Only the base's cache is kept, for the base is the human's code; the cache of a later version is removed with its cell.
Caches are copied here, never read.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FOLDERS = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda"}
MAX_BYTES = 4 << 30


def copy_into(tmp: Path, store: Path) -> None:
    """Copy the kept caches, if there are any, into a cell's private folder."""
    for name in FOLDERS.values():
        if (store / name).is_dir():
            shutil.copytree(store / name, tmp / name)


def keep(tmp: Path, store: Path) -> None:
    """Replace `store` by the caches of a dead cell: regular files only, and nothing if they are over 4 GiB."""
    files = [path for name in FOLDERS.values() for path in _regular_files(tmp / name)]
    if not files or sum(path.lstat().st_size for path in files) > MAX_BYTES:
        return
    partial = store.with_name(f"{store.name}.{os.getpid()}")
    for path in files:
        target = partial / path.relative_to(tmp)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)
    shutil.rmtree(store, ignore_errors=True)
    partial.rename(store)


def _regular_files(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names):
            if path.is_file() and not path.is_symlink():
                yield path
