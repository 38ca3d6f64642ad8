"""A triplet that was found in a repository or named by its user: files to change, a command, a number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autoresearch.files import JsonObject

Goal = Literal["min", "max"]
FIRST_TIMEOUT_S = 600.0  # of a command of which nothing is known


@dataclass(frozen=True)
class Number:
    """The number of a command: where it is printed, and which way is better. With `clock`, the seconds of `run`."""

    name: str
    goal: Goal = "min"
    regex: str | None = None
    json_path: str | None = None
    clock: bool = False

    @property
    def source(self) -> JsonObject:
        """Return `metric.from` of the settings."""
        if self.clock:
            return {"clock": "run"}
        return {"regex": self.regex} if self.regex else {"json": self.json_path}

    def __str__(self) -> str:
        return f"{self.name}, {'lower' if self.goal == 'min' else 'higher'} is better"


@dataclass(frozen=True)
class Triplet:
    """What a repository can be measured by. `number` is None where only a run shows what the command prints.

    `setup` makes the environment, where the command cannot run without it. `glue` are files by path that the command
    needs and `init` writes; `guard` is a command that has to succeed; `task` is what the repository itself says of its
    goal.
    """

    kind: str
    why: str
    edit: tuple[str, ...]
    command: str
    number: Number | None = None
    timeout_s: float | None = None  # None: as the first runs show
    read: tuple[str, ...] = ()
    guard: str | None = None
    setup: tuple[str, ...] = ()
    glue: Mapping[str, str] = field(default_factory=dict)
    task: str = ""

    def settings(self, number: Number, kind: str | None = None) -> JsonObject:
        """Return the settings of autoresearch.yaml."""
        run: JsonObject = {"command": self.command, "timeout": f"{self.timeout_s or FIRST_TIMEOUT_S:g}s"}
        metric: JsonObject = {"name": number.name, "from": number.source}
        return {
            "edit": list(self.edit),
            **({"setup": list(self.setup)} if self.setup else {}),
            "run": run | ({"read": list(self.read)} if self.read else {}),
            "metric": metric
            | ({"goal": number.goal} if number.goal == "max" else {})
            | ({"kind": kind} if kind else {}),
        } | ({"guards": [{"name": "check", "command": self.guard}]} if self.guard else {})
