"""A version's weights. A session keeps none: the version is trained once more, the ordinary way, with a seed on record.

The file is safetensors as the cell sealed it, with what is needed to use it in the metadata: the configuration that
`load` gets, the text of train.py, where it comes from and what it scored this time.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import UserError, require
from autoresearch.files import resolve_links
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.trials import JUDGING
from autoresearch.measure.settings import TrialPlan
from autoresearch.sandbox.cell import reopen

HEADER_LIMIT = 100 << 20  # bytes, as safetensors has it
CHUNK = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights: of experiment `n`, trained with `seed`; `val_bpb` is its score, `recorded` that on record."""

    path: Path
    n: int
    seed: int
    val_bpb: float
    recorded: float


def make(again: Remeasurer, experiment: Experiment, path: Path) -> Checkpoint:
    """Train a version with the seed of its last good trial and store its weights. Raises UserError where that fails."""
    last = _last(again, experiment)
    text = again.workspace.read(require(experiment.sha))
    held: list[int] = []
    try:
        plan = TrialPlan(
            keep_checkpoint=lambda fd: held.append(os.dup(fd)),
            watch=lambda progress: again.watch(experiment.n, progress),
        )
        result = again.referee.measure(text, last.seed, plan)
        if result.val_bpb is None:
            raise UserError(f"experiment {experiment.n} could not be trained again: {result.outcome} {result.reason}")
        about = {"session": again.session.tag, "n": experiment.n, "sha": experiment.sha, "seed": last.seed}
        about |= {"val_bpb": result.val_bpb, "data": again.data.hash, "train.py": text}
        store(held[0], {name: str(value) for name, value in about.items()}, path)
    finally:
        for fd in held:
            os.close(fd)
    return Checkpoint(path, experiment.n, last.seed, result.val_bpb, require(last.val_bpb))


def _last(again: Remeasurer, experiment: Experiment) -> Trial:
    trials = again.ledger.trials(again.session.id, experiment.id)
    good = [trial for trial in trials if trial.outcome == "ok" and trial.purpose in JUDGING]
    if not good:
        raise UserError(f"experiment {experiment.n} has no trial that went well: see `autoresearch log --all`")
    return good[-1]


def store(fd: int, about: dict[str, str], path: Path) -> None:
    """Copy sealed weights into a file, whole or not at all, with facts added to their metadata. Raises UserError."""
    place = resolve_links(path)
    beside = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(reopen(fd), "rb") as source, beside.open("wb") as file:
            header = read_header(source)
            header["__metadata__"] = {**header.get("__metadata__", {}), **about}
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            file.write(len(text).to_bytes(8, "little") + text)
            for chunk in _chunks(source):
                file.write(chunk)
        beside.replace(place)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def read_header(file: BinaryIO) -> dict[str, Any]:
    """The header of a safetensors file, which is left at its first weights. Raises UserError where it is none."""
    size = int.from_bytes(file.read(8), "little")
    try:
        header = json.loads(file.read(size)) if size <= HEADER_LIMIT else None
    except ValueError:
        header = None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise UserError("that is no file of weights: make one with `autoresearch export --checkpoint FILE`")
    return header


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
