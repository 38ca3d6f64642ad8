"""Temporary folders that do not stay when this program is killed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoresearch.sandbox import cleanup


@contextmanager
def held_folder() -> Iterator[Path]:
    """Make a folder that is removed at the end; if this program is killed, with that of a later cell."""
    folder = tempfile.mkdtemp(prefix=cleanup.CELL_PREFIX)
    hold = cleanup.hold(folder)
    try:
        yield Path(folder).resolve()
    finally:
        with suppress(OSError):
            cleanup.wipe(folder)
        os.close(hold)
