"""Text that every cell can read."""

import sysconfig
from pathlib import Path

from autoresearch.data import exposure


def copy_readable(folder: Path, size: int = 300_000) -> None:
    """Copy the first Python files that the search comes to, at least `size` bytes, into `folder` under other names."""
    folder.mkdir()
    total = 0
    for number, path in enumerate(exposure.files([sysconfig.get_path("purelib")])):
        if path.endswith(".py") and b"\0" not in (text := Path(path).read_bytes()):
            (folder / f"{number}.py").write_bytes(text)
            total += len(text)
        if total >= size:
            return
