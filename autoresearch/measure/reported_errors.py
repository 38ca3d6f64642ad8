"""Describe an error that a cell reports without the words of the cell, which may quote the text that it has read."""

import builtins

from autoresearch.text import plausible

KNOWN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
KNOWN |= {"OutOfMemoryError", "AcceleratorError", "LinAlgError", "AxisError", "SafetensorError"}


def error_class(name: object) -> str:
    """Return the class of an exception; one that train.py made up could spell out text in its name."""
    return name if isinstance(name, str) and name in KNOWN else "an exception of its own"


def error_line(line: object, source: str) -> str:
    """Return the place of an error as ` (line 12 of train.py)`; "" if `source` has no such line."""
    number = plausible(line)
    if number is None or not 1 <= number <= 1 + source.count("\n"):
        return ""
    return f" (line {number:.0f} of train.py)"
