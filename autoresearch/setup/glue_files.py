"""Programs that `init` lays down in a repository, so that its own can be measured."""

from dataclasses import replace
from pathlib import Path

from autoresearch.measure.command_spec import COPY
from autoresearch.setup.triplet import Triplet

GLUE = ".autoresearch"  # their folder
IN_COPY = f"sh {COPY}"  # before a command that writes into the repository


def glue_file(name: str) -> dict[str, str]:
    """Return a file of this package that a project needs, by its path there."""
    return {f"{GLUE}/{name}": (Path(__file__).parent / "glue" / name).read_text(encoding="utf-8")}


def run_in_copy(triplet: Triplet) -> Triplet:
    """Let the command, and the guard, run in a copy of the repository that can be written."""
    copied = replace(
        triplet, command=f"{IN_COPY} {triplet.command}", glue={**triplet.glue, **glue_file(Path(COPY).name)}
    )
    return with_guard(copied, triplet.guard)


def with_guard(triplet: Triplet, command: str | None) -> Triplet:
    """Return the triplet with another guard, which writes into the repository if the command does."""
    is_copied = triplet.command.startswith(IN_COPY)
    return replace(triplet, guard=f"{IN_COPY} {command}" if command and is_copied else command)
