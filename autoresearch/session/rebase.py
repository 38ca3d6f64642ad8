"""The change of one version of train.py, made to another one."""

from autoresearch.source.constants import Number, constants, with_constants
from autoresearch.workspace.workspace import Workspace


def carried(workspace: Workspace, base: str, changed: str, onto: str) -> str | None:
    """What `changed` changes in `base`, changed in `onto` too; None where they conflict.

    Constants of the module go by their names, everything else by lines as git merges them: two constants next to each
    other are no conflict, one constant with two new values is.
    """
    if (moved := _moved(base, changed)) is None:
        merged, conflict = workspace.merge(base, onto, changed)
        return None if conflict else merged
    before, now = _values(base), _values(onto)
    if any(now.get(name) != before[name] for name in moved):
        return None
    return with_constants(onto, moved)


def _moved(base: str, changed: str) -> dict[str, Number] | None:
    """The new values of constants, if that is all that was changed."""
    before, after = _values(base), _values(changed)
    moved = {name: value for name, value in after.items() if name in before and before[name] != value}
    try:
        return moved if moved and with_constants(base, moved) == changed else None
    except ValueError:
        return None


def _values(text: str) -> dict[str, Number]:
    try:
        return {constant.name: constant.value for constant in constants(text)}
    except SyntaxError:
        return {}
