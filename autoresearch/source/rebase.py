"""The change of one version of train.py, made to another one."""

from collections.abc import Callable

from autoresearch.source.constants import Number, constants, with_constants

Merge = Callable[[str, str, str], tuple[str, bool]]
"""Merge two changes of a base by lines: (base, ours, theirs) -> (text, whether they conflict)."""


def rebase_change(merge: Merge, base: str, changed: str, onto: str) -> str | None:
    """Make the change from `base` to `changed` in `onto`; None if they conflict.

    A change of constants goes by their names, any other by lines, as git merges them: two adjacent constants are no
    conflict, two new values of one constant are.
    """
    if (values := _changed_constants(base, changed)) is None:
        merged, conflict = merge(base, onto, changed)
        return None if conflict else merged
    before, now = _constants(base), _constants(onto)
    if any(now.get(name) != before[name] for name in values):
        return None
    return with_constants(onto, values)


def _changed_constants(base: str, changed: str) -> dict[str, Number] | None:
    """Return the new values of constants, if nothing else was changed."""
    before, after = _constants(base), _constants(changed)
    values = {name: value for name, value in after.items() if name in before and before[name] != value}
    try:
        return values if values and with_constants(base, values) == changed else None
    except ValueError:
        return None


def _constants(text: str) -> dict[str, Number]:
    try:
        return {constant.name: constant.value for constant in constants(text)}
    except SyntaxError:
        return {}
