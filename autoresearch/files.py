"""Files that are there whole or not at all, whenever the program is killed."""

from collections.abc import Iterable
from pathlib import Path

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
        raise refusal(error) or UserError(f"{path} cannot be written: {error.strerror}") from None
