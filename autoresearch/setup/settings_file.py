"""Change single settings in `autoresearch.yaml`, and nothing else in it."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from autoresearch.config import FILE
from autoresearch.errors import UserError
from autoresearch.files import write_atomically


def remember(root: Path, values: Mapping[str, object]) -> None:
    """Set settings in the file, which is made if it is missing; all other bytes stay. Raises UserError."""
    path = root / FILE
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        changed = text
        for name, value in values.items():
            changed = _set(changed, name, _dump(value))
        is_right = yaml.safe_load(changed) == {**(yaml.safe_load(text) or {}), **values}
    except (OSError, ValueError, yaml.YAMLError):
        is_right = False
    if not is_right:
        raise UserError(f"{FILE} cannot be changed line by line")
    write_atomically(path, [changed])


def _dump(value: object) -> str:
    """Return a value in one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return dumped.removesuffix("...\n").strip()


def _set(text: str, name: str, value: str) -> str:
    """Return the text with one value at the top level replaced, or with a new line at its end."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    for key, node in pairs:
        if key.value == name:
            start, end = node.start_mark.index, node.end_mark.index
            return f"{text[:start]}{' ' if start == end else ''}{value}{text[end:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    gap = line_end if text and not text.endswith("\n") else ""
    return f"{text}{gap}{name}: {value}{line_end}"
