"""The files that a session leaves in `runs/<tag>/<n>/`, one folder an experiment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoresearch.errors import RESUME_HINT, UserError
from autoresearch.files import write_atomically


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
    def record(self) -> Path:
        """What the ledger says of the settled experiment, for the day on which it is lost."""
        return self.folder / "experiment.json"

    @property
    def dropped(self) -> Path:
        """A note, where the bulk is missing because there was no room for it."""
        return self.folder / "dropped.txt"

    @property
    def checkpoint(self) -> Path:
        """Weights, where somebody asked for some: a session stores none."""
        return self.folder / "checkpoint.safetensors"

    def trial(self, k: int, suffix: str) -> Path:
        """`trial-K.json` (result), `trial-K.log` (what the cell printed), `trial-K.npz` (nats and bytes by row)."""
        return self.folder / f"trial-{k}{suffix}"

    def write_proposal(self, diff: str, trace: list[dict[str, Any]]) -> None:
        """Store the change and where it came from."""
        self._make_folder()
        self.patch.write_text(diff)
        self.trace.write_text("".join(json.dumps(entry) + "\n" for entry in trace))

    def write_record(self, record: dict[str, Any]) -> None:
        """Store what a recovery needs."""
        write_atomically(self.record, [json.dumps(record), "\n"])

    def drop_bulk(self) -> int:
        """Remove what is large and decides nothing; returns the bytes that came free."""
        bulk = [self.patch, self.trace, *self.folder.glob("trial-*.log"), *self.folder.glob("trial-*.npz")]
        freed = sum(512 * path.stat().st_blocks for path in bulk if path.exists())
        if freed:
            self.dropped.write_text(
                "Logs, trace, patch and scores by row went to make room on the disk (max_disk_gb).\n"
            )
        for path in bulk:
            path.unlink(missing_ok=True)
        return freed

    def write_trial(self, k: int, facts: dict[str, Any], log: str, rows: npt.NDArray[np.float64] | None) -> None:
        """Store the facts of a trial, the log of its cell, and nats and bytes by row (`rows`: [n, 2])."""
        self._make_folder()
        self.trial(k, ".json").write_text(json.dumps(facts, indent=1) + "\n")
        self.trial(k, ".log").write_text(log)
        if rows is not None:
            try:
                np.savez_compressed(self.trial(k, ".npz"), nats=rows[:, 0], bytes=rows[:, 1])
            except ValueError as error:  # numpy closes its archive after a MemoryError, and that fails too
                raise error.__context__ or error from None

    def _make_folder(self) -> None:
        runs = self.folder.parents[1]
        if not runs.exists():
            raise UserError(f"{runs} is gone: if the repository was moved, go there, {RESUME_HINT}")
        self.folder.mkdir(parents=True, exist_ok=True)
