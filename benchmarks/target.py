"""Simulate sessions with a target and a known truth: how often is a target called reached that is not?

    python benchmarks/target.py [--nights 100] [--trials 100] [--goal -3]

The worlds and the default rule are those of judge.py. `ours` ends a night as a session does: when the incumbent's fresh
draws are below the target with a probability of 0.95, with one more draw of it where that would decide. `lowest score`
ends it at the first single score below the target. Unit: one sigma; the base is 0, the target `--goal`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from judge import WORLDS, SimulatedSession

from autoresearch import judge
from autoresearch.session.target import PROBABILITY

NAMES = ("10 % good", "20 % good", "10 % good, heavy tails", "10 % good, drift", "10 % good, jumps")


@dataclass
class TargetSession(SimulatedSession):
    """A simulated session that ends at its target."""

    goal: float = -3.0
    ours: tuple[float, int] | None = None  # true value of the version and trials so far, when the target was reached
    lowest_score: tuple[float, int] | None = None  # the same, when a single score was below it

    def _experiment(self, effect: float) -> None:
        before, lowest = self.truth, self.lowest
        super()._experiment(effect)
        if self.lowest_score is None and self.lowest < self.goal <= lowest:
            self.lowest_score = before + effect, self.machine.spent
        while self.ours is None and self._p_below(1) >= PROBABILITY:
            if self._p_below(0) >= PROBABILITY:
                self.ours = self.truth, self.machine.spent
            else:
                self.incumbent.append(self.machine.trial(self.truth))
        if self.ours and self.lowest_score:
            self.trials = 0

    def _p_below(self, more: int) -> float:
        scores = [draw.score for draw in self.incumbent]
        return judge.p_below(self.goal, scores, len(scores) + more, self._noise())


def row(ends: Sequence[tuple[float, int] | None], goal: float) -> str:
    """Return the cells of a rule: nights that end, those whose version is not below the target, by how much, trials."""
    reached = [end for end in ends if end is not None]
    if not reached:
        return "0% | - | - | -"
    wrong = fmean(truth >= goal for truth, _ in reached)
    away, spent = fmean(truth - goal for truth, _ in reached), fmean(trials for _, trials in reached)
    return f"{len(reached) / len(ends):.0%} | {wrong:.0%} | {away:+.2f} | {spent:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=100)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--goal", type=float, default=-3.0)
    options = parser.parse_args()
    print("| world | rule | nights that end | of these not below the target | true value off the target by | trials |")
    print("|---|---|---|---|---|---|")
    for name in NAMES:
        sessions = [
            TargetSession("default", WORLDS[name], seed, options.trials, goal=options.goal)
            for seed in range(options.nights)
        ]
        for session in sessions:
            session.run()
        for rule in ("ours", "lowest_score"):
            cells = row([getattr(session, rule) for session in sessions], options.goal)
            print(f"| {name} | {rule.replace('_', ' ')} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
