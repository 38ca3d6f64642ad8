"""A program of constants, scores on made landscapes, and an agent that tries changes blindly."""

import random
import re

import numpy as np

from autoresearch.agents.base import Exhausted, Proposal
from autoresearch.brief.brief import Brief
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan

NAMES = ("DOOR", "ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA")
VALUES = tuple(range(2, 10))
PROGRAM = "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\n" + "".join(
    f"{name} = 1\n" for name in NAMES
)
SIGMA = 0.001
LEVEL = 2.0


class Blind:
    """Sets a constant in each proposal, chosen by the number of the experiment; may be killed after the last one."""

    name, repairs, proposes = "blind", 30, "instantly"
    model: str | None = None

    def __init__(self, proposals: int, is_killed: bool = False) -> None:
        self.left, self.is_killed, self.briefs = proposals, is_killed, list[Brief]()

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        if not brief.feedback:
            self.left -= 1
            self.briefs.append(brief)
        if self.left < 0:
            raise KeyboardInterrupt if self.is_killed else Exhausted("agent exhausted")
        rng = random.Random(f"{brief.n} {len(brief.feedback)}")
        name, value = rng.choice(NAMES), rng.choice(VALUES)
        text = re.sub(rf"^{name} = .*", f"{name} = {value}", brief.source, flags=re.M)
        return Proposal(text, f"{name} is {value}", "schedule")


def moved(text: str) -> dict[str, int]:
    """Return the constants that a version has moved."""
    return {name: int(value) for name, value in re.findall(r"^([A-Z]+) = (\d+)$", text, re.M) if value != "1"}


def true_loss(text: str, door_opens: bool) -> float:
    """Return how much worse than the base a version is, in sigma.

    Each other constant does nothing or a little harm by itself. Where the door opens, they gain with another DOOR.
    """
    changes = moved(text)
    is_open = door_opens and "DOOR" in changes
    others = [name for name in changes if name != "DOOR"]
    return 0.3 * ("DOOR" in changes) + sum(-8.0 if is_open else 0.2 * (value % 3) for value in map(changes.get, others))


def measure_plateau(text: str, seed: int, plan: TrialPlan) -> Result:
    """Score a version of a deceptive plateau: no single change is a gain, and two of them are a large one."""
    return _measure(true_loss(text, door_opens=True), text, seed)


def measure_null(text: str, seed: int, plan: TrialPlan) -> Result:
    """Score a version where nothing is a gain."""
    return _measure(true_loss(text, door_opens=False), text, seed)


def _measure(loss: float, text: str, seed: int) -> Result:
    noise = random.Random(f"{seed} {sorted(moved(text).items())}").gauss(0, 1)
    score = LEVEL + SIGMA * (loss + noise)
    rows = np.array([[1.0, 2.0]])
    return Result("ok", score, audit={"n": 1.0}, rows=rows, holdout_bpb=score, total_seconds=0.1)
