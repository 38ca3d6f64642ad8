"""The commands of the settings, which measure in the place of the built-in trial."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from autoresearch import config as configuration
from autoresearch.config import Config, ScoreCommand
from autoresearch.errors import Blocker, UsageError, UserError, require
from autoresearch.measure.base_copy import places_in_copy
from autoresearch.measure.clock import Budget
from autoresearch.measure.command_spec import CommandSpec, Step
from autoresearch.measure.guards import CommandGuard
from autoresearch.measure.interpreter import Interpreter
from autoresearch.setup.environment import choose_python, find_environment
from autoresearch.setup.guard_settings import read_guards
from autoresearch.source_tree import find_clash
from autoresearch.workspace.workspace import Workspace


def read_command(root: Path, config: Config) -> CommandSpec:
    """Return the commands of the settings, with the files that HEAD locks. Raises Blocker, UserError."""
    run, metric, workspace = require(config.run), require(config.metric), Workspace.of(root, config)
    locked = workspace.locked(workspace.head())
    source = metric.source
    private = tuple(dict.fromkeys(name for each in _private_readers(config) for name in each.private))
    in_lfs = workspace.lfs_files()
    inside = [name for name in private if _is_tracked(name, locked) and not _is_tracked(name, in_lfs)]
    read = {name: root / configuration.expand_user(name) for name in run.read}
    secret = {name: root / name for name in private if name not in inside}
    if told := [name for name in private if any(_is_inside(root / name, path) for path in read.values())]:
        raise UsageError(f"{told[0]} is private, and `read` lets `run` read it")
    run_step = Step(run.command, run.timeout, _existing(dict(read)))
    only_output = run.outputs[0] if len(run.outputs) == 1 and config.score is None else None
    guards = read_guards(root, config, secret, only_output)
    for guard in guards:
        read |= _existing(guard.read) if isinstance(guard, CommandGuard) else {}
    spec = CommandSpec(
        run=run_step,
        name=metric.name,
        goal=metric.goal,
        unit=metric.shown_unit,
        kind=metric.settled_kind,
        score=_score_step(config.score, secret),
        holdout=_score_step(config.holdout, secret),
        private=private,
        budget=command_budget(config),
        edited=tuple(config.edit),
        outputs=run.outputs,
        regex=source.regex,
        json_path=source.json_path,
        file=source.file or (only_output if source.json_path else None),
        rows=source.rows,
        clock=source.clock is not None,
        possible=metric.possible,
        locked=locked,
        guards=guards,
        contents={name: _sizes(path) for name, path in read.items()}
        | {name: _hash(path) for name, path in secret.items()},
    )
    spec = _with_environment(spec, root, config)
    for path in workspace.edited(workspace.head()):
        if (place := find_clash(path, spec.places)) is not None:
            raise UsageError(f"{path} may change, and {place} is `private` or in `read`: leave it out of one of them")
    return spec


def require_contents(root: Path, config: Config, spec: CommandSpec) -> None:
    """Raise Blocker for a file in git LFS that no step reads from the working tree: trials would get its pointer."""
    steps = [step for step in (spec.run, spec.score, spec.holdout, *spec.command_guards) if step is not None]
    read = places_in_copy(name for step in steps for name in step.read)
    for path in Workspace.of(root, config).lfs_files():
        if find_clash(path, read) is None:
            words = f"{path} is in git LFS, so trials would get its pointer"
            raise Blocker(f"{words}: name it, or its folder, under `read` of `run` in {configuration.FILE}")


def command_budget(config: Config) -> Budget | None:
    """Return the budget of `run`; None if its timeout alone limits it."""
    return None if config.budget is None or config.budget.strip() == "none" else Budget.parse(config.budget)


def _private_readers(config: Config) -> list[ScoreCommand | configuration.GuardSetting]:
    return [each for each in (config.score, config.holdout, *config.guards) if each is not None]


def _with_environment(spec: CommandSpec, root: Path, config: Config) -> CommandSpec:
    """Return the commands with the Python that runs them, and with what `setup` made. Raises UserError."""
    place = find_environment(config, spec.locked)
    python = Interpreter.read(choose_python(root, config, place))
    return replace(
        spec,
        python=str(python.path),
        interpreter=python.hash,
        runtime=() if str(python.path) == sys.executable else python.folders,
        made=(place and place.made) or {},
        contents={**spec.contents, **({"`setup`": place.key} if place else {})},
    )


def _score_step(score: ScoreCommand | None, secret: Mapping[str, Path]) -> Step | None:
    if score is None:
        return None
    own = {name: path for name, path in secret.items() if name in score.private}
    return Step(score.command, score.timeout, _existing(own))


def _is_tracked(name: str, locked: Iterable[str]) -> bool:
    """Return whether git has a file, or files in a folder."""
    return any(path == name or path.startswith(f"{name}/") for path in locked)


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _existing(paths: Mapping[str, Path]) -> Mapping[str, Path]:
    """Raise UsageError for a path that does not exist."""
    if missing := [name for name, path in paths.items() if not path.exists()]:
        raise UsageError(f"{missing[0]}, which the commands of the settings read, does not exist")
    return paths


def _sizes(path: Path) -> str:
    """Return a hash of the names and sizes of files, which need not be read for it."""
    facts = [f"{name} {file.stat().st_size}" for name, file in _files(path)]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()


def _hash(path: Path) -> str:
    """Return a hash of the contents of a file, or of those in a folder. Raises UserError."""
    digest = hashlib.sha256()
    try:
        for name, file in _files(path):
            digest.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode(errors="surrogateescape"))
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _files(path: Path) -> list[tuple[str, Path]]:
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [(str(file.relative_to(path)), file) for file in files]
