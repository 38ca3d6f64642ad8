"""The files that `init` writes for a triplet, and their commit."""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from autoresearch import config as configuration
from autoresearch.metric import EXACT
from autoresearch.setup.calibration import Calibration
from autoresearch.setup.new_project import write_new
from autoresearch.setup.triplet import Number, Triplet
from autoresearch.workspace.initial_commit import InitialCommit

PROGRAM = "program.md"
TIMEOUT_FACTOR = 10.0  # times the duration of the base
RUNS_IGNORED = {"runs/.gitignore": "*\n!.gitignore\n"}
HEAD = "# Written by `autoresearch init`; docs/measuring.md explains each line. The base was measured as {}.\n"


def texts_of(triplet: Triplet, number: Number, measured: Calibration) -> dict[str, str]:
    """Return the files of a triplet by path."""
    triplet = replace(triplet, timeout_s=triplet.timeout_s or _choose_timeout(measured.seconds))
    values = triplet.settings(number, measured.metric.kind)
    lines = [yaml.safe_dump({key: value}, sort_keys=False, width=110) for key, value in values.items()]
    settings = HEAD.format(f"{number.name} {measured.mean:.6g}") + "".join(lines)
    program = describe_program(triplet, number, measured)
    return {configuration.FILE: settings, PROGRAM: program, **RUNS_IGNORED, **triplet.glue}


def _choose_timeout(seconds: float) -> float:
    """Return a limit that no version reaches which is as fast as the base: whole minutes."""
    return 60.0 * math.ceil(TIMEOUT_FACTOR * seconds / 60)


def describe_program(triplet: Triplet, number: Number, measured: Calibration) -> str:
    """Return a first program.md: what is known of the task."""
    spread = f"sigma of one run {measured.metric.spread(measured.sigma)}"
    noise = "the same in each run" if measured.metric.kind == EXACT else spread
    guard = [f"- `{triplet.guard}` has to succeed with every version."] if triplet.guard else []
    task = ["", f"## What the files of {triplet.kind} say", "", triplet.task.strip()] if triplet.task else []
    return "\n".join(
        [
            *("# Programme", "", "Edit this file: it is read before every proposal.", ""),
            *("## Goal", "", f"The {measured.metric.superlative} `{number.name}` that `{triplet.command}` gives.", ""),
            *("## What may change", "", *(f"- `{path}`" for path in triplet.edit), ""),
            *("## What may not", "", "- Every other file of the repository.", *guard, ""),
            *("## What is known", "", f"- The base: {number.name} {measured.mean:.6g}, {noise}."),
            f"- A run takes {measured.seconds:.1f} s, and is ended after {triplet.timeout_s:g} s.",
            *(*task, ""),
        ]
    )


def write_triplet(root: Path, texts: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Write the files that are missing, and commit only them; return their states and the commit. Raises UserError."""
    repository = InitialCommit(root)
    new = [name for name in texts if not os.path.lexists(root / name) and not repository.is_tracked(name)]
    for name in new:
        write_new(root / name, texts[name])
    commit = repository.commit(new, f"Add {', '.join(new)}") if new else None
    return {name: "new" if name in new else "kept" for name in texts}, commit
