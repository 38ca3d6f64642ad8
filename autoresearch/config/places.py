"""Paths in settings, and the folder of data sets and locks."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from autoresearch.errors import Blocker, UsageError

PREFIX = "AUTORESEARCH_"  # of our environment variables


def split_paths(text: str, folder: Path) -> Iterator[str]:
    """Yield the parts of a list between commas; a path that exists may contain commas, and blanks at its ends.

    So may the folder before the first wildcard of a pattern.
    """
    parts = text.split(",")
    while parts:
        joined = [(count, ",".join(parts[:count])) for count in range(len(parts), 0, -1)]
        named = [(count, name) for count, text in joined if text.strip() for name in (text, text.strip())]
        there = (pair for pair in named if _is_there(pair[1], folder))
        count, name = next(there, (1, parts[0].strip()))
        if name:
            yield name
        parts = parts[count:]


def _is_there(name: str, folder: Path) -> bool:
    """Return whether a path exists, or the folder before the first wildcard of a pattern without a comma after it."""
    fixed = re.split(r"[*?[]", name)[0].rpartition("/")[0]
    is_pattern = fixed and "," not in name[len(fixed) :]
    return any(os.path.lexists(folder / expand_user(each)) for each in (name, fixed if is_pattern else name))


def expand_user(name: str) -> Path:
    """Return a path without `~` at its start. Raises UsageError if that home folder is not known."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        if os.path.lexists(name):
            return Path(name)
        user = Path(name).parts[0].removeprefix("~")
        owner = f"the user {user!r}" if user else "this user"
        raise UsageError(f"{name}: no home folder of {owner} is known here: write the full path") from None


def cache_folder() -> Path:
    """Return the folder of data sets and locks: AUTORESEARCH_CACHE, or the user's cache folder. Raises Blocker."""
    if name := os.environ.get(PREFIX + "CACHE"):
        return expand_user(name).absolute()
    with suppress(RuntimeError):  # of newer versions of platformdirs
        folder = Path(platformdirs.user_cache_dir("autoresearch"))
        if folder.is_absolute():  # older ones return a `~` that they cannot expand
            return folder
    raise Blocker("this user has no home folder: set AUTORESEARCH_CACHE to a folder of yours")


def serve_token_file() -> Path:
    """Return the file of the token of `serve`; to delete it makes another one at the next start."""
    return cache_folder() / "serve-token"
