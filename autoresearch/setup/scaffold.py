"""Files laid down in a folder, and committed: the start of a project."""

from collections.abc import Mapping
from pathlib import Path

from autoresearch.errors import Blocker
from autoresearch.workspace import git
from autoresearch.workspace.git import GitCommands

MESSAGE = "Start a project of autoresearch"


def lay_down(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that are missing and commit them, nothing else; return their names. Raises UserError, OSError.

    No file is overwritten. A folder outside any repository becomes one. git needs no configured user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in files if not (folder / name).exists()]
    for name in missing:
        (folder / name).write_text(files[name], encoding="utf-8")
    if missing:
        if not _is_in_repository(folder):
            git.create_repository(folder)
        _commit(folder, missing)
    return missing


def _is_in_repository(folder: Path) -> bool:
    try:
        git.top_folder(folder)
    except Blocker:
        return False
    return True


def _commit(folder: Path, names: list[str]) -> None:
    commands = GitCommands(folder)
    paths = [str((folder / name).resolve().relative_to(commands.top)) for name in names]
    commands.run("-C", str(commands.top), "add", "--", *paths)
    commands.run("-C", str(commands.top), "commit", "-q", "-m", MESSAGE, "--only", "--", *paths)
