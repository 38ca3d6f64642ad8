"""What `setup` makes for the commands of the settings: once for each state of the lock files, in the cache folder.

It runs outside of a cell, with the network, on the files of HEAD, before any trial: it is the user's own command on the
user's own files. Cells may read what it made.
"""

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock

from autoresearch.config import Config, cache_folder, expand_user
from autoresearch.data.workers import say
from autoresearch.errors import UsageError, UserError
from autoresearch.files import write_atomically
from autoresearch.setup.project_copy import follow_versions
from autoresearch.text import one_line
from autoresearch.workspace.workspace import Workspace

LOCK_FILES = (
    *("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock*.toml", "requirements*.txt", "pyproject.toml"),
    *("setup.py", "setup.cfg", "environment.y*ml", "package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"),
)
MAX_REASON_CHARS = 300
ERRORS = ("error", "failed", "no matching distribution", "not found", "cannot", "could not")  # in lines that say why
IN_VENV = ".venv/bin/python"


@dataclass(frozen=True)
class Environment:
    """What a setup made, by its place in the repository; `key` is the hash of command and lock files."""

    folder: Path
    key: str

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def made(self) -> dict[str, Path] | None:
        """Return the files and folders that were made, by their place; None if that is not done."""
        try:
            names = json.loads((self.folder / "made.json").read_text())
        except OSError:
            return None
        return {name: self.tree / name for name in names}


def find_environment(config: Config, locked: Mapping[str, str]) -> Environment | None:
    """Return the place of what `setup` makes of these locked files; None without `setup`."""
    if not config.setup:
        return None
    facts = [config.setup, lock_state(config, locked), platform.machine(), sys.version, str(config.python)]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return Environment(cache_folder() / "environments" / key, key)


def lock_state(config: Config, locked: Mapping[str, str]) -> dict[str, str]:
    """Return mode and hash of the lock files, and of the files that `setup` names."""
    names = {path: path.rpartition("/")[2] for path in locked}
    known = (path for path, name in names.items() if any(fnmatchcase(name, each) for each in LOCK_FILES))
    return {path: locked[path] for path in sorted({*known, *(word for word in config.setup if word in locked)})}


def prepare_environment(root: Path, config: Config) -> None:
    """Run `setup` unless it is done for this state of the lock files. Raises UserError; nothing is changed then."""
    workspace = Workspace.of(root, config)
    head = workspace.head()
    place = find_environment(config, workspace.locked(head))
    if place is None or place.made is not None:
        return
    place.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place.folder}.lock"):
        if place.made is None:
            shutil.rmtree(place.folder, ignore_errors=True)
            place.tree.mkdir(parents=True)
            try:
                workspace.export(head, place.tree)
                _make(root, config, place)
            except BaseException:
                shutil.rmtree(place.folder, ignore_errors=True)
                raise


def _make(root: Path, config: Config, place: Environment) -> None:
    """Run the command, and note what it made."""
    tracked = {str(path.relative_to(place.tree)) for path in place.tree.rglob("*")}
    say(f"setup, once for this state of the lock files: {shlex.join(config.setup)}", True)
    if why := _run(root, config, place.tree):
        words = f"`setup` failed, and nothing was changed: {one_line(why, MAX_REASON_CHARS)}"
        raise UserError(f"{words}; mend it, or take `setup` out of autoresearch.yaml to use {existing_python(root)}")
    follow_versions(place.tree)
    names = sorted(_find_made(place.tree, tracked))
    write_atomically(place.folder / "made.json", [json.dumps(names)])


def _run(root: Path, config: Config, tree: Path) -> str | None:
    """Run the command and show what it prints; return why it failed, None if it did not."""
    python = str(_chosen_python(root, config) or sys.executable)
    words = [python if word == "python" else word for word in config.setup]
    unwanted = ("PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    try:
        with subprocess.Popen(
            words,
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            lines = [line for line in map(_show, process.stdout or ()) if line]
    except OSError as error:
        return f"{words[0]}: {error.strerror}"
    if process.returncode == 0:
        return None
    telling = [line for line in lines if any(word in line.lower() for word in ERRORS)]
    return f"status {process.returncode}: {(telling or lines or ['it printed nothing'])[0]}"


def _show(line: str) -> str:
    text = one_line(line, MAX_REASON_CHARS)
    say(f"  {text}", bool(text))
    return text


def _find_made(tree: Path, tracked: set[str], below: str = "") -> Iterator[str]:
    """Yield the files and folders that are not in git, the highest ones only."""
    for entry in sorted(os.scandir(tree / below), key=lambda entry: entry.name):
        name = f"{below}{entry.name}"
        if name not in tracked:
            yield name
        elif entry.is_dir(follow_symlinks=False):
            yield from _find_made(tree, tracked, f"{name}/")


def choose_python(root: Path, config: Config, place: Environment | None) -> Path:
    """Return the Python of the commands: that of the settings, of `setup`, of the project's .venv, or ours."""
    if (chosen := _chosen_python(root, config)) is not None:
        return chosen
    made = place.tree / IN_VENV if place is not None and place.made is not None else None
    return made if made is not None and made.exists() else existing_python(root)


def existing_python(root: Path) -> Path:
    """Return the Python of the project's .venv, or ours."""
    return root / IN_VENV if (root / IN_VENV).exists() else Path(sys.executable)


def _chosen_python(root: Path, config: Config) -> Path | None:
    if config.python is None:
        return None
    path = root / expand_user(config.python)
    if not path.is_file():
        raise UsageError(f"python: {path} does not exist")
    return path
