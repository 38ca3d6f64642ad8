"""A folder made ready for a first session: missing files are laid down and committed, others stay as they are."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.config import Config
from autoresearch.errors import UsageError, UserError
from autoresearch.setup.templates import IGNORED, SETTINGS, read_template
from autoresearch.source.contract import complaint, defects
from autoresearch.source.script import is_script
from autoresearch.workspace.git import is_in_repository, top_folder
from autoresearch.workspace.initial_commit import InitialCommit

GITIGNORE = ".gitignore"
TEXT_FOR_A_CARD = (
    f"{configuration.FILE} has `source: climbmix` for the card: web text, of which the first `autoresearch run`"
    " downloads ten shards; `source: files:GLOB` is your own text"
)
LEDGER = "runs/ledger.db"  # ignored where `runs/` is


@dataclass(frozen=True)
class NewProject:
    """What was done in a folder: its files by name, with one of the words `new`, `kept`, `changed`, `deleted`.

    `notes` say what is left to the user, a line each.
    """

    root: Path
    is_new_repository: bool
    files: Mapping[str, str]
    commit: str | None
    notes: tuple[str, ...]


def create_project(folder: Path, measured: Mapping[str, object] | None = None) -> NewProject:
    """Lay down the missing files of a project and commit them. Never overwrites a file. Raises UserError.

    `measured` are settings that measure what is there.
    """
    root = _make_folder(folder)
    config = configuration.load(root, {})
    needs_text = measured is None and _needs_text(config)
    texts = _read_texts(config, root, _settings_text(measured or {}, needs_text))
    repository = _open_repository(root)
    files = {name: _state(root, name, repository) for name in texts}
    for name in files:
        if files[name] == "new":
            write_new(root / name, texts[name])
    notes = [TEXT_FOR_A_CARD] if needs_text and files[configuration.FILE] == "new" else []
    notes += _describe_train_file(root, _relative(config.train, root), texts, repository)
    names = _names_to_commit(root, texts, repository)
    was_clean = repository.is_clean(GITIGNORE)
    if not repository.is_ignored(LEDGER) and _append_line(root / GITIGNORE, "runs/"):
        files[GITIGNORE] = "changed"
        names += [GITIGNORE] if was_clean else []
        notes += [] if GITIGNORE in names else [f"{GITIGNORE} has changes of yours: commit it when you like"]
    commit = repository.commit(names, f"Add {', '.join(names)}") if names else None
    return NewProject(root, repository.is_new, files, commit, tuple(notes))


def _needs_text(config: Config) -> bool:
    """Return whether trials here run on a card for which nobody has chosen a text."""
    return "source" not in config.model_fields_set and config.device != "cpu" and bool(hardware.gpus())


def _make_folder(folder: Path) -> Path:
    """Make the folder of a project, unless a repository is around it. Raises UserError."""
    if not folder.exists():
        _refuse_inside(folder.absolute())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is a file, or is in one: name a folder") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}: choose another folder") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder} cannot be written: change its owner or its mode, or choose another folder")
    return folder.resolve()


def _refuse_inside(folder: Path) -> None:
    """Raise UserError if a folder that is not there yet would be inside a repository."""
    around = next(each for each in folder.parents if os.path.isdir(each))  # noqa: PTH112  (raises nothing)
    if is_in_repository(around):
        raise _inside(folder, top_folder(around))


def _open_repository(root: Path) -> InitialCommit:
    repository = InitialCommit(root)
    if repository.top != root:
        raise _inside(root, repository.top)
    return repository


def _inside(folder: Path, top: Path) -> UserError:
    words = f"{folder} is inside the git repository {top}"
    return UserError(f"{words}: `autoresearch init {top}`, or choose a folder outside of it")


def _read_texts(config: Config, root: Path, settings: str) -> dict[str, str]:
    """Return the texts of all files by name, relative to the folder. Raises UsageError for names outside of it."""
    texts = {
        _relative(config.train, root): read_template("train.py"),
        _relative(config.program, root): read_template("program.md"),
    }
    return texts | {configuration.FILE: settings, GITIGNORE: IGNORED}


def _settings_text(measured: Mapping[str, object], needs_text: bool) -> str:
    """Return the lines of autoresearch.yaml, in which `source` is set where a card needs a text."""
    settings = SETTINGS.replace("# source:", "source:", 1) if needs_text else SETTINGS
    return settings + ("\n" + yaml.safe_dump(dict(measured), sort_keys=False) if measured else "")


def _relative(name: str, root: Path) -> str:
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(root):
        raise UsageError(f"{name} is outside of {root}: change the settings `train` and `program`")
    return path.relative_to(root).as_posix()


def _state(root: Path, name: str, repository: InitialCommit) -> str:
    if os.path.lexists(root / name):
        return "kept"
    return "deleted" if repository.is_tracked(name) else "new"


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, and its folder. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}: mend that, then repeat the command") from None


def _append_line(path: Path, line: str) -> bool:
    """Append a line to a file of the user's; False if it is no plain file, and stays as it is."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        is_open = path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n" if is_open else f"{line}\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}: mend that, then repeat the command") from None
    return True


def _names_to_commit(root: Path, texts: Mapping[str, str], repository: InitialCommit) -> list[str]:
    """Return the files that git does not have yet: as they were laid down, or any of them in a new repository."""
    missing = [name for name in texts if (root / name).is_file() and not repository.is_tracked(name)]
    return [name for name in missing if repository.is_new or _read(root / name) == texts[name]]


def _read(path: Path) -> str | None:
    """Return the text of a file; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _describe_train_file(root: Path, name: str, texts: Mapping[str, str], repository: InitialCommit) -> Iterator[str]:
    """Say what is left to do about a train.py that was not laid down here."""
    text = _read(root / name)
    if text == texts[name] and (others := repository.namesakes(name)):
        words = f"write `train: {others[0]}` into {configuration.FILE}"
        yield f"{', '.join(others[:3])} is there too: to improve that instead of {name}, {words}"
    if not os.path.lexists(root / name):
        yield f"{name} is in git, but deleted here: `git checkout HEAD {name}` brings it back"
    elif text is None:
        yield f"{name} is no UTF-8 text that can be read: a session cannot use it"
    elif text != texts[name]:
        yield from _compare_with_contract(text, name)
        if not (repository.is_new or repository.is_tracked(name)):
            yield f"{name} is not committed: `git add {name} && git commit -m start`"


def _compare_with_contract(text: str, name: str) -> Iterator[str]:
    """Say what a train.py of the user's own lacks."""
    wrong = defects(text, name) or [found for found in [complaint(text)] if found]
    if is_script(text):
        yield f"{name} is a script in the shape of karpathy/autoresearch's, and stays as it is (docs/karpathy.md)"
        yield from (f"look at this: {each}" for each in wrong)
        return
    yield f"{name} is yours and stays as it is. A session needs two functions of it:"
    yield "  train(trial)                 calls trial.start(), trains while trial.progress < 1, calls trial.save(...)"
    yield "  load(state, config, device)  returns the saved model: a function from tokens to logits"
    if wrong:
        yield from (f"missing: {each}" for each in wrong)
        yield "`autoresearch init NEWFOLDER` lays down a train.py that has both"
    else:
        yield "it has both"
