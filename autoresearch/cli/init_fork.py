"""`init` in a clone or a fork of karpathy/autoresearch: with our prepare if a short training shows that it can be."""

from collections.abc import Mapping
from pathlib import Path

import typer

from autoresearch.cli.slot import lock_slot
from autoresearch.errors import UserError

Settings = Mapping[str, object]


def settle_fork(root: Path, slots: str | None, wait: bool) -> tuple[Settings | None, str]:
    """Return the settings that measure a clone or fork, and why; no settings for others, or if they are written."""
    from autoresearch import config
    from autoresearch.sandbox.cell import CellError
    from autoresearch.setup.karpathy import find_fork, fork_settings

    fork = find_fork(root)
    if fork is None or (root / config.FILE).exists():
        return None, ""
    if fork.why_plain is not None:
        return fork.plain_settings(), _as_it_is(fork.why_plain)
    settings = fork_settings(fork)
    try:
        reason = _find_unsaved(root, settings, slots, wait)
    except (UserError, CellError) as error:
        return settings, f"not checked whether its state_dict holds all of its model: {error}"
    if reason is not None:
        return fork.plain_settings(), _as_it_is(reason)
    return settings, "measured with our prepare: a short training showed that its state_dict holds all of its model"


def _as_it_is(reason: str) -> str:
    return f"measured as it is, by the number that it prints: {reason} (docs/karpathy.md)"


def _find_unsaved(root: Path, settings: Settings, slots: str | None, wait: bool) -> str | None:
    """Train briefly; return why the saved state does not stand for the model. Raises UserError, CellError."""
    from autoresearch.measure.cell_process import Harness
    from autoresearch.measure.saved_state import find_unsaved
    from autoresearch.setup.karpathy import SCRIPT
    from autoresearch.setup.project import open_project

    project = open_project({**settings, "slots": slots}, root)
    typer.echo("a short training shows whether its state_dict holds all of its model ...", err=True)
    with lock_slot(project, wait):
        return find_unsaved((root / SCRIPT).read_text(encoding="utf-8"), Harness(project.settings, project.data))
