"""One finding of `doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """`level` is ok, warn or blocker; `remedy` says what to do unless it is ok."""

    name: str
    level: str
    text: str
    remedy: str = ""
