"""Files that are there whole or not at all whenever the program is killed, and reading those that may be damaged."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoresearch.errors import UserError, refusal


def written(path: Path, pieces: Iterable[str]) -> Path:
    """Write a file, whole or not at all. Raises UserError where that cannot be done."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        return beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise refusal(error) or UserError(f"{path} cannot be written: {error.strerror}") from None


def stored(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None if it cannot be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
