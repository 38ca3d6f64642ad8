"""The files of the base, and copies of them: what of the user's lies in it beside the files that are in git."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from autoresearch.sandbox.held_folder import held_folder

HOME = "~/"


class BaseFolder:
    """The folder of the files of the base, which `export` writes when it is first asked for."""

    def __init__(self, export: Callable[[Path], None]) -> None:
        self._export = export
        self._folder: Path | None = None
        self._stack = ExitStack()

    def path(self) -> Path:
        """Return the folder, complete. Raises what `export` raises."""
        if self._folder is None:
            with ExitStack() as stack:
                folder = stack.enter_context(held_folder())
                self._export(folder)
                self._stack, self._folder = stack.pop_all(), folder
        return self._folder

    def close(self) -> None:
        self._folder = None
        self._stack.close()


def places_in_copy(names: Iterable[str]) -> frozenset[str]:
    """Return the normal paths of those that lie in a copy: not in a home folder, and not outside of the repository."""
    plain = (os.path.normpath(name) for name in names if not name.startswith(HOME))
    return frozenset(path for path in plain if path not in (".", "..") and not path.startswith(("/", "../")))


def link_files(paths: Mapping[str, Path], tree: Path) -> None:
    """Put links to files of the user's at their places in a copy, instead of what the base has there."""
    for name, path in paths.items():
        place = tree / os.path.normpath(name)
        if Path(name).is_absolute() or name.startswith(HOME) or place == tree:
            continue
        remove_from(tree, name)
        if _is_in(tree.parent, place) and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)


def link_home(paths: Mapping[str, Path]) -> Iterator[str]:
    """Yield commands that put links to files of the user's home at their places in the home of a cell."""
    for name, path in paths.items():
        if name.startswith(HOME):
            place = PurePosixPath(name.removeprefix(HOME))
            folder, link = (f'"$HOME"/{shlex.quote(str(each))}' for each in (place.parent, place))
            yield f"mkdir -p {folder} && ln -s {shlex.quote(str(path))} {link}"


def remove_from(tree: Path, name: str) -> None:
    """Remove a file or a folder of a copy; nothing that a link in its path leads to, outside of the copy."""
    path = tree / os.path.normpath(name)
    if path == tree or not _is_in(tree, path):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_in(folder: Path, path: Path) -> bool:
    """Return whether the folder of a path really lies in another one, which is no link itself."""
    return path.parent.resolve().is_relative_to(folder)
