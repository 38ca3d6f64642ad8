"""A base that is a script in the shape of karpathy/autoresearch's: what may be believed of its number."""

from contextlib import suppress
from pathlib import Path

from autoresearch.config import Config
from autoresearch.errors import UserError
from autoresearch.measure.settings import BASE_FACTOR, FREE_SETUP_S, FREE_SHARE
from autoresearch.source.script import is_script
from autoresearch.workspace.workspace import Workspace

BELIEF = "audited, but the clock"


def is_script_base(root: Path, config: Config) -> bool:
    """Return whether the built-in trial measures a script, as HEAD has it."""
    if config.run is not None:
        return False
    with suppress(UserError):
        workspace = Workspace.of(root, config)
        return is_script(workspace.read(workspace.head()))
    return False


def describe_belief(grade: str) -> str:
    """Return the line that says what may be believed of a script's number."""
    limit = f"the budget, {BASE_FACTOR:g} times what the base takes beyond it, and {100 * FREE_SHARE:.0f} % of it"
    clock = f"train.py keeps its own clock, and is ended from outside after {limit} ({FREE_SETUP_S:.0f} s at most)"
    return f"{BELIEF} | cell {grade} | not protected: {clock}"
