"""The attacks on an evaluator, tried on a project before its number is believed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from autoresearch.errors import require
from autoresearch.measure.command_spec import REPORTED, CommandSpec
from autoresearch.measure.evaluator_attacks import ATTACKS, Attack, AttackedBase, secrets_of
from autoresearch.measure.result import Result
from autoresearch.setup.calibration import SEEDS, Measure
from autoresearch.setup.triplet_project import ProposedProject

TRIALS = sum(attack.trials for attack in ATTACKS)
SCORE = "add a `score`: another cell computes the number from the outputs of `run`, without files that may change"
PRIVATE = "make the answers `private` of a `score`: `run` then has no copy of them"
WRITE, READ = "write to the evaluator", "reading the answers"
CELL = "the cell or the evaluator has a hole: `autoresearch doctor` says which protection is missing"
HOLES = {
    "forged line": ("a version prints the line with a better number and ends the process", SCORE),
    READ: ("a version opens the files that the number is computed from", PRIVATE),
    "os._exit after printing": ("a version prints a better number and ends the process at once", SCORE),
    "atexit": ("a version prints a better number when the process ends", SCORE),
    "PATH, PYTHONPATH": ("a version lets the evaluator start other programs than it names", SCORE),
    "patched clock": ("a version makes the clock slower that the evaluator reads", SCORE),
    WRITE: ("a version changes the program that measures it", CELL),
    "conftest, sitecustomize": ("a version adds a file that Python runs without being asked", CELL),
    "leftover output": ("a version finds what an earlier trial has left", CELL),
    "surviving child": ("a version leaves a process that works after its end", CELL),
}


@dataclass(frozen=True)
class AttackReport:
    """How an attack ended; `is_admitted` says that the project's word for what may be believed names it."""

    name: str
    outcome: str
    is_admitted: bool

    @property
    def wins(self) -> bool:
        return self.outcome == "wins"

    @property
    def hole(self) -> str:
        return HOLES[self.name][0]

    @property
    def remedy(self) -> str:
        return HOLES[self.name][1]


def attack_evaluator(proposed: ProposedProject, base: Result, measure: Measure) -> Iterator[AttackReport]:
    """Try each attack on a project whose base was measured; nothing if no file that may change is Python."""
    command, root = proposed.command, proposed.project.root
    secrets = secrets_of(command, root)
    is_lower = command.goal == "min"
    target = AttackedBase(command, proposed.text, require(base.val_bpb), base.log, secrets, is_lower)
    for attack in ATTACKS if target.is_attackable else ():
        outcome = attack.attempt(target, proposed.refusal, partial(_measure, measure, attack.name))
        yield AttackReport(attack.name, outcome, _admits(command, attack))


def _admits(command: CommandSpec, attack: Attack) -> bool:
    """Return whether the line on what may be believed admits an attack.

    A number that is only reported may come from a changed evaluator too. Without private files, the line says so.
    """
    special = {WRITE: command.belief == REPORTED, READ: not command.private}
    return command.belief in attack.open_under or special.get(attack.name, False)


def _measure(measure: Measure, name: str, text: str) -> Result:
    return measure(f"attack: {name}", text, SEEDS[0])
