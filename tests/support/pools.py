"""A program of five constants, an agent that sets them, and scores by how many of them were changed."""

import re

import numpy as np

from autoresearch.agents.base import Exhausted, Proposal, Unavailable
from autoresearch.brief.brief import Brief
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan

NAMES = ("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON")
PROGRAM = "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\n" + "".join(
    f"{name} = 1.0\n" for name in NAMES
)
GAIN = 0.02  # bits per byte of each change, where there are several; the noise is below 0.001


class Setter:
    """Sets a constant to a value in each proposal, and is away from a proposal on."""

    name, repairs, proposes = "setter", 0, "instantly"
    model: str | None = "none"

    def __init__(self, moves: list[tuple[str, float]], away_from: int = 99) -> None:
        self.moves, self.away_from, self.asked = moves, away_from, 0

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        self.asked += 1
        if self.asked > self.away_from:
            raise Unavailable("no network", 1e12)
        if self.asked > len(self.moves):
            raise Exhausted("agent exhausted")
        name, value = self.moves[self.asked - 1]
        return Proposal(moved(brief.source, name, value), f"{name} is {value}", "schedule")


def moved(text: str, name: str, value: float) -> str:
    return re.sub(rf"^{name} = .*", f"{name} = {value}", text, flags=re.M)


def doubled(*names: str) -> list[tuple[str, float]]:
    return [(name, 2.0) for name in names]


def changed_names(text: str) -> set[str]:
    return {name for name, value in re.findall(r"^([A-Z]+) = ([\d.]+)$", text, re.M) if value != "1.0"}


def good(score: float) -> Result:
    return Result("ok", score, audit={"n": 1.0}, rows=np.array([[1.0, 2.0]]), holdout_bpb=score, total_seconds=0.1)


def measure(text: str, seed: int, plan: TrialPlan) -> Result:
    """Score a version: a single change loses a little, several together gain GAIN each."""
    changes = len(changed_names(text))
    return good(2.0 - (GAIN * changes if changes > 1 else -0.005 * changes) + seed % 97 / 1e5)
