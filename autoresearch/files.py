"""Files that are there whole or not at all whenever the program is killed, and reading those that may be damaged."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoresearch.errors import UserError, refusal


def written(path: Path, pieces: Iterable[str]) -> Path:
    """Write a file, whole or not at all. Raises UserError where that cannot be done."""
    place = behind_links(path)
    beside = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        beside.replace(place)
        return path
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise refusal(error) or UserError(f"{path} cannot be written: {error.strerror}") from None


def behind_links(path: Path) -> Path:
    """Where a file is, or would be. Raises UserError for a device, a pipe or a folder: a new file would replace it."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file, and would be replaced by one: choose another name")
    return Path(os.path.realpath(path))


def stored(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None if it cannot be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
