"""The files that a session leaves in `runs/<tag>/<n>/`, one folder an experiment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoresearch.measure.result import Result


@dataclass(frozen=True)
class Artefacts:
    """Every file name of one experiment, and how it is written."""

    folder: Path

    @property
    def patch(self) -> Path:
        """The change against the parent version."""
        return self.folder / "patch.diff"

    @property
    def trace(self) -> Path:
        """The brief, the rationale and the calls behind a proposal, one JSON object a line."""
        return self.folder / "trace.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Weights, where somebody asked for some: a session stores none."""
        return self.folder / "checkpoint.safetensors"

    def trial(self, k: int, suffix: str) -> Path:
        """`trial-K.json` (result), `trial-K.log` (what the cell printed), `trial-K.npz` (nats and bytes by row)."""
        return self.folder / f"trial-{k}{suffix}"

    def write_proposal(self, diff: str, trace: list[dict[str, Any]]) -> None:
        """Store the change and where it came from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.patch.write_text(diff)
        self.trace.write_text("".join(json.dumps(entry) + "\n" for entry in trace))

    def write_trial(self, k: int, result: Result) -> None:
        """Store what a trial gave."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.trial(k, ".json").write_text(json.dumps(result.as_json(), indent=1) + "\n")
        self.trial(k, ".log").write_text(result.log)
        if result.rows is not None:
            np.savez_compressed(self.trial(k, ".npz"), nats=result.rows[:, 0], bytes=result.rows[:, 1])
