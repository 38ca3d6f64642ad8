"""Recognise the versions of program.md of a session by their words."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.artefacts import Artefacts

MAX_TRACES = 20  # that are looked through for the text of one version
_BEFORE, _AFTER = "# program.md\n\n", "\n\n# "  # around it in a brief


def first_words(rows: Sequence[ExperimentRow], folder: Path, current: str) -> dict[str, str]:
    """Return the first line of each version that no earlier one has, by the version's hash.

    Texts come from the traces of proposals in `folder`, the artefacts of the session; `current` is program.md as it is
    now. Versions without either are left out.
    """
    numbers: dict[str, list[int]] = {}
    for row in rows:
        if row.program_hash:
            numbers.setdefault(row.program_hash, []).append(row.n)
    known = {hashlib.sha256(current.encode()).hexdigest()[:16]: current}
    texts = {key: known.get(key) or _find_text(folder, found) for key, found in numbers.items()}
    return _new_lines({key: text for key, text in texts.items() if text})


def _new_lines(texts: Mapping[str, str]) -> dict[str, str]:
    words, seen = {}, set[str]()
    for key, text in texts.items():
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        prose = [line for line in lines if not line.startswith("#")] or lines
        words[key] = next((line for line in prose if line not in seen), prose[0] if prose else "")
        seen.update(lines)
    return words


def _find_text(folder: Path, numbers: Sequence[int]) -> str:
    for n in numbers[:MAX_TRACES]:
        trace = Artefacts(folder / str(n)).trace
        first = trace.read_text("utf-8", "replace").partition("\n")[0] if trace.is_file() else ""
        try:
            brief = str(json.loads(first)["text"])
        except (ValueError, KeyError, TypeError):
            continue
        if _BEFORE in brief:
            return brief.partition(_BEFORE)[2].partition(_AFTER)[0]
    return ""
