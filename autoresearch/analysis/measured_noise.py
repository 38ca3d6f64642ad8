"""The noise of one trial as `init` measured it, kept beside the ledger for the first session."""

import json
from collections.abc import Mapping
from pathlib import Path

from autoresearch.files import read_json, short_hash, write_atomically
from autoresearch.text import plausible


def write_noise(
    runs: Path, identity: Mapping[str, object], settings: Mapping[str, object], sigma: float, dof: int
) -> Path:
    """Keep sigma, on the scale of the metric, and its degrees of freedom for sessions that measure the same way.

    Return the file.
    """
    runs.mkdir(exist_ok=True)
    return write_atomically(_place(runs, identity, settings), [json.dumps({"sigma": sigma, "dof": dof}) + "\n"])


def read_noise(
    runs: Path, identity: Mapping[str, object], settings: Mapping[str, object]
) -> tuple[float, float] | None:
    """Return sigma and its degrees of freedom; None if they are not known, or the file is damaged."""
    found = read_json(_place(runs, identity, settings)) or {}
    sigma, dof = plausible(found.get("sigma")) or 0.0, plausible(found.get("dof")) or 0.0
    return (sigma, dof) if sigma > 0 and dof > 0 else None


def _place(runs: Path, identity: Mapping[str, object], settings: Mapping[str, object]) -> Path:
    return runs / f"noise-{short_hash([identity, settings])}.json"
