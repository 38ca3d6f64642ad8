"""Compare the JSON that a command printed with its shape in docs/json.md."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def documented(command: str) -> set[str]:
    """Return the keys in the first column of a command's table."""
    section = PAGE.read_text().split(f"\n## {command}\n")[1].split("\n## ")[0]
    return {
        key for cell in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE) for key in re.findall(r"`([^`]+)`", cell)
    }


def as_documented(command: str, value: Any) -> bool:
    """Return True if a value has exactly the keys of the page."""
    known = documented(command)
    assert _paths(value, known) == known
    return True


def _paths(value: Any, leaves: set[str], at: str = "") -> set[str]:
    """Return every key in a value, down to the leaves of the page."""
    if isinstance(value, dict) and f"{at}{{}}" in leaves:
        return {f"{at}{{}}"}
    if isinstance(value, list) and f"{at}[]" in leaves:
        return {f"{at}[]"}
    if isinstance(value, dict):
        inner = [_paths(each, leaves, f"{at}.{key}" if at else key) for key, each in value.items()]
        return set().union(*inner)
    if isinstance(value, list):
        return set().union(*(_paths(each, leaves, f"{at}[]") for each in value))
    return {at}
