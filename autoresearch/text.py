"""How a proposal came about, with secrets removed before anything is stored."""

import os
import re
from collections.abc import Iterable
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

SHORTEST_SECRET = 8  # characters: a shorter one (`ollama`) is no secret, and would black out ordinary words

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
_LOOKS_SECRET = re.compile(
    r"\bsk-[\w-]{16,}|\bhf_\w{16,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


class Trace:
    """Entries in the order in which they happened, each with a `kind`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.entries: list[dict[str, Any]] = []
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)

    def add(self, kind: str, **facts: Any) -> None:
        """Remember something, as JSON can hold it."""
        self.entries.append({"kind": kind, **{name: self.clean(value) for name, value in facts.items()}})

    def clean(self, value: Any) -> Any:
        """The same without secrets."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "[secret]")
            return _LOOKS_SECRET.sub("[secret]", value)
        if isinstance(value, dict):
            return {self.clean(name): self.clean(each) for name, each in value.items()}
        return [self.clean(each) for each in value] if isinstance(value, list | tuple) else value


def secrets_of_environment() -> list[str]:
    """Values of variables that are named like secrets."""
    return [value for name, value in os.environ.items() if _NAMES.search(name.upper())]


def clean(data: bytes) -> str:
    """Text without terminal escapes, control and direction characters; newlines and tabs stay."""
    return plain(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))


def plain(text: str) -> str:
    """Text of a cell that may be shown and stored: nothing left that a terminal obeys or UTF-8 cannot hold."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def one_line(text: str | None, most: int | None = None) -> str:
    """Such text without line breaks, cut to `most` characters."""
    text = text or ""
    line = " ".join(plain(text if most is None else text[: 4 * most]).split())
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."
