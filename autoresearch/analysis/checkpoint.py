"""Export a version's weights by training it once more with a recorded seed.

Sessions store no weights. The file is the sealed safetensors file of the cell. Its metadata has the configuration for
`load`, the text of train.py, session, experiment, commit, seed, data set and the score of this training.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import UserError, require
from autoresearch.files import JsonObject, resolve_links
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.trials import JUDGING
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.settings import TrialPlan
from autoresearch.sandbox.cell import reopen

PURPOSE = "checkpoint"
MAX_HEADER_BYTES = 100 << 20  # the limit of safetensors


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights."""

    path: Path
    n: int  # experiment
    seed: int
    val_bpb: float  # score of this training
    recorded: float  # score in the ledger


def make(remeasurer: Remeasurer, experiment: Experiment, path: Path) -> Checkpoint:
    """Train with the seed of the last good trial and write the weights. Raises UserError."""
    if isinstance(remeasurer.data, CommandSpec):
        raise UserError("a command leaves no checkpoint: that needs the built-in trial")
    last = _last_good_trial(remeasurer, experiment)
    text = remeasurer.workspace.read(require(experiment.sha))
    descriptors: list[int] = []
    try:
        plan = TrialPlan(
            keep_checkpoint=lambda fd: descriptors.append(os.dup(fd)),
            watch=lambda progress: remeasurer.watch(experiment.n, progress),
        )
        result = remeasurer.measure(experiment, text, last.seed, PURPOSE, plan)
        if result.val_bpb is None:
            raise UserError(f"experiment {experiment.n} could not be trained again: {result.outcome} {result.reason}")
        about = {"session": remeasurer.session.tag, "n": experiment.n, "sha": experiment.sha, "seed": last.seed}
        about |= {"val_bpb": result.val_bpb, "data": remeasurer.data.hash, "train.py": text}
        write_weights(descriptors[0], {name: str(value) for name, value in about.items()}, path)
    finally:
        for fd in descriptors:
            os.close(fd)
    return Checkpoint(path, experiment.n, last.seed, result.val_bpb, require(last.val_bpb))


def _last_good_trial(remeasurer: Remeasurer, experiment: Experiment) -> Trial:
    trials = remeasurer.ledger.trials(remeasurer.session.id, experiment.id)
    good = [trial for trial in trials if trial.outcome == "ok" and trial.purpose in JUDGING]
    if not good:
        raise UserError(f"experiment {experiment.n} has no trial that went well: see `autoresearch log --all`")
    return good[-1]


def write_weights(fd: int, metadata: dict[str, str], path: Path) -> None:
    """Copy sealed weights into a file atomically and add metadata. Raises UserError."""
    target = resolve_links(path)
    partial = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(reopen(fd), "rb") as source, partial.open("wb") as file:
            header = read_header(source)
            header["__metadata__"] = {**header.get("__metadata__", {}), **metadata}
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            file.write(len(text).to_bytes(8, "little") + text)
            shutil.copyfileobj(source, file)
        partial.replace(target)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def read_header(file: BinaryIO) -> JsonObject:
    """Read the header of a safetensors file. Raises UserError if invalid."""
    size = int.from_bytes(file.read(8), "little")
    try:
        header = json.loads(file.read(size)) if size <= MAX_HEADER_BYTES else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise UserError("this is not a file of weights: make one with `autoresearch export --checkpoint FILE`")
    return header
