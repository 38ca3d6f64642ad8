"""Files of an experiment in `runs/<tag>/<n>/`."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoresearch.errors import MachineError
from autoresearch.files import JsonObject, retry_if_deleted, write_atomically
from autoresearch.text import last_lines

PRINTED_LINES = 20  # that `show` shows
MAX_LINE_CHARS = 300
# Errors of a file of arrays that was cut short by a power failure, was deleted meanwhile, or lacks an array.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Artefacts:
    """Names of the files of one experiment, and functions that write and read them."""

    folder: Path

    @property
    def patch(self) -> Path:
        return self.folder / "patch.diff"

    @property
    def trace(self) -> Path:
        """Return the path of the steps of a proposal, one JSON object a line."""
        return self.folder / "trace.jsonl"

    @property
    def record(self) -> Path:
        """Return the path of the ledger's record of the settled experiment, for a recovery."""
        return self.folder / "experiment.json"

    @property
    def failure(self) -> Path:
        """Return the path of the traceback of an unexpected error outside of a trial."""
        return self.folder / "failure.log"

    @property
    def drop_note(self) -> Path:
        """Return the path of a note that large files were removed to make room."""
        return self.folder / "dropped.txt"

    @property
    def checkpoint(self) -> Path:
        """Return the path of the weights of `export` and `sample`; a session stores none."""
        return self.folder / "checkpoint.safetensors"

    def trial(self, k: int, suffix: str) -> Path:
        """Return the path of a result (.json), a cell's output (.log) or scores by row (.npz)."""
        return self.folder / f"trial-{k}{suffix}"

    def write_elsewhere(self, k: int, facts: JsonObject, log: str) -> None:
        """Store result and log of a trial in the screening pool, whose scores are compared with no others."""
        name = self.folder / f"elsewhere-{k}"
        self._write({name.with_suffix(".json"): json.dumps(facts, indent=1) + "\n", name.with_suffix(".log"): log})

    def read_patch(self) -> str:
        """Return the change; empty if there is no file."""
        return self.patch.read_text("utf-8", "replace") if self.patch.exists() else ""

    def last_prints(self) -> list[str]:
        """Return the last lines that train.py printed in its newest trial, cleaned; none if there is no such file."""
        logs = sorted(self.folder.glob("trial-*.log"), key=lambda path: int(path.stem.removeprefix("trial-")))
        text = logs[-1].read_text("utf-8", "replace") if logs else ""
        return last_lines(text, PRINTED_LINES, MAX_LINE_CHARS)

    def write_proposal(self, diff: str, trace: list[JsonObject]) -> None:
        self._write({self.patch: diff, self.trace: _json_lines(trace)})

    def write_trace(self, trace: list[JsonObject]) -> None:
        self._write({self.trace: _json_lines(trace)})

    def write_failure(self, traceback: str) -> None:
        self._write({self.failure: traceback})

    def write_record(self, record: JsonObject) -> None:
        write_atomically(self.record, [json.dumps(record), "\n"])

    def drop_bulk(self) -> int:
        """Remove the large files that nothing depends on; return the number of freed bytes."""
        logs = [*self.folder.glob("trial-*.log"), *self.folder.glob("elsewhere-*.log")]
        bulk = [self.patch, self.trace, *logs, *self.folder.glob("trial-*.npz")]
        freed = sum(512 * path.stat().st_blocks for path in bulk if path.exists())
        if freed:
            self.drop_note.write_text(
                "Logs, trace, patch and scores by row went to make room on the disk (max_disk_gb).\n"
            )
        for path in bulk:
            path.unlink(missing_ok=True)
        return freed

    def write_trial(
        self,
        k: int,
        facts: JsonObject,
        log: str,
        rows: npt.NDArray[np.float64] | None,
        losses: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Store result and log of a trial, nats and bytes by row (`rows`: [n, 2]), and losses by token."""
        self._write({self.trial(k, ".json"): json.dumps(facts, indent=1) + "\n", self.trial(k, ".log"): log})
        if rows is not None:
            arrays: dict[str, npt.NDArray[Any]] = {"nats": rows[:, 0], "bytes": rows[:, 1]}
            if losses is not None:
                arrays["losses"] = losses
            retry_if_deleted(lambda: self._save(self.trial(k, ".npz"), arrays))

    def read_losses(self) -> npt.NDArray[np.uint8] | None:
        """Return the losses by token of the newest trial of which they are stored and readable."""
        return next((np.asarray(losses, np.uint8) for _, (losses,) in self.read_arrays("losses")), None)

    def read_arrays(self, *names: str) -> Iterator[tuple[int, list[npt.NDArray[Any]]]]:
        """Yield these arrays of each trial of which they are stored and readable, newest first, with its number."""
        numbers = (int(path.stem.removeprefix("trial-")) for path in self.folder.glob("trial-*.npz"))
        for k in sorted(numbers, reverse=True):
            with suppress(*UNREADABLE):
                yield k, _read_arrays(self.trial(k, ".npz"), names)

    def _write(self, texts: dict[Path, str]) -> None:
        def write() -> None:
            self._make_folder()
            for path, text in texts.items():
                path.write_text(text, "utf-8", "replace")

        retry_if_deleted(write)

    def _save(self, path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self._make_folder()
        try:
            np.savez_compressed(path, allow_pickle=False, **arrays)
        except ValueError as error:  # numpy closes its archive after a MemoryError, and that fails too
            raise error.__context__ or error from None

    def _make_folder(self) -> None:
        runs = self.folder.parents[1]
        if not runs.parent.exists():
            raise MachineError(f"{runs} is gone: if the repository was moved, go there")
        self.folder.mkdir(parents=True, exist_ok=True)


def _read_arrays(path: Path, names: Sequence[str]) -> list[npt.NDArray[Any]]:
    with np.load(path) as arrays:
        return [arrays[name] for name in names]


def _json_lines(entries: list[JsonObject]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)
