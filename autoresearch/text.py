"""Clean what cells and agents say: terminal escapes, control characters, secrets, numbers beyond measure."""

import json
import os
import re
from collections.abc import Iterable
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

MIN_SECRET_CHARS = 8  # a shorter one (`ollama`) is no secret, and ordinary words would be removed with it

MAX_CLAIM = 1e15  # a larger number is no count, time or loss

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
_LOOKS_SECRET = re.compile(
    r"\bsk-[\w-]{16,}|\bhf_\w{16,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


class Trace:
    """Record of how a proposal came about: entries in order, each with a `kind`, without secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.entries: list[dict[str, Any]] = []
        self._secrets = sorted({s for s in secrets if len(s) >= MIN_SECRET_CHARS}, key=len, reverse=True)

    def add(self, kind: str, **facts: Any) -> None:
        self.entries.append({"kind": kind, **{name: self.clean(value) for name, value in facts.items()}})

    def clean(self, value: Any) -> Any:
        """Return a JSON value without secrets."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "[secret]")
            return _LOOKS_SECRET.sub("[secret]", value)
        if isinstance(value, dict):
            return {self.clean(name): self.clean(each) for name, each in value.items()}
        return [self.clean(each) for each in value] if isinstance(value, list | tuple) else value


def secrets_of_environment() -> list[str]:
    """Return the values of environment variables that are named like secrets."""
    return [value for name, value in os.environ.items() if _SECRET_NAMES.search(name.upper())]


def clean(data: bytes) -> str:
    """Decode text and remove terminal escapes, control and direction characters; newlines and tabs stay."""
    return plain_text(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))


def last_lines(text: str, count: int, most: int) -> list[str]:
    """Return the last lines that are not empty, as plain text, each cut to `most` characters."""
    lines = [line for line in text.splitlines()[-count * 5 :] if line.strip()][-count:]
    return [plain_text(line.rstrip()[:most].replace("\t", "    ")) for line in lines]


def first_and_last_lines(text: str, first: int, last: int, most: int) -> list[str]:
    """Return lines in the same way, of the beginning and of the end, with a line for what is left out between them."""
    lines = [line for line in text.splitlines() if line.strip()]
    if (left_out := len(lines) - first - last) > 0:
        lines = [*lines[:first], f"... ({left_out} lines)", *lines[-last:]]
    return last_lines("\n".join(lines), len(lines), most) if lines else []


def plain_text(text: str) -> str:
    """Remove everything that a terminal would obey or UTF-8 cannot hold."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def encodable(value: Any) -> Any:
    """Return a JSON value that UTF-8 can hold: halves of a surrogate pair are joined, single ones replaced."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def one_line(text: str | None, most: int | None = None) -> str:
    """Return plain text without line breaks, cut to `most` characters."""
    text = text or ""
    line = " ".join(plain_text(text if most is None else text[: 4 * most]).split())
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def plausible(value: object) -> float | None:
    """Return a number that train.py may have reported; None for everything else, as infinity or null."""
    if not isinstance(value, int | float) or not -MAX_CLAIM <= value <= MAX_CLAIM:
        return None
    return float(value)
