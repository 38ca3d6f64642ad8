"""Simulate nights on a cluster with cards of one or of two kinds: how many experiments, and where the time goes.

    python benchmarks/fleet_night.py [--nights 10] [--hours 8] [--correlation 0.9]

A discrete-event simulation with the real rule of the judge. A trial takes 300 s and `OVERHEAD_S`. One conversation with
the agent takes 60 s and gives one candidate, or three; candidates are prepared ahead. One idea in ten is a gain of 0.5
to 4 sigma, 60 % are harmful, as in benchmarks/judge.py. With two kinds, a true effect on the screening card has the
given correlation with that on the confirming card. A candidate whose incumbent was replaced is made again on the newer
one, and its trials are lost. Screenings are not stopped early.
"""

import argparse
import heapq
import math
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from autoresearch import judge
from autoresearch.judge import AUDITED_SHARE, Draw, Incumbent

TRIAL_S, OVERHEAD_S = 300.0, 20.0
LATENCY_S = 60.0
GOOD, HARMFUL = 0.1, 0.6
BASE_TRIALS, REFERENCES = 3, 2
EARLIER = (1.0, 8.0)  # sigma and degrees of freedom of earlier sessions
MAX_WAITING = 2  # promoted candidates for each confirming slot
SCREEN, CONFIRM = "screen", "confirm"
COLUMNS = ("experiments", "dropped", "keeps", "without effect", "true gain")
PARTS = ("prescreens", "references", "screenings", "re-runs", "incumbent beside", "idle")  # of the slots' time


@dataclass
class Candidate:
    """An idea: its true effects in both pools, in sigma, and its trials on the present incumbent."""

    effect: float
    effect_there: float
    incumbent: int = 0
    prescreened: bool = False
    promoted: bool = False
    draws: list[Draw] = field(default_factory=list)
    beside: int = 0


@dataclass
class Night:
    """One night. Without screening slots, the confirming ones do everything."""

    screens: int
    confirms: int
    proposals: int
    correlation: float
    rng: random.Random
    seconds: float
    now: float = 0.0
    number: int = 0  # of the incumbent
    truth: float = 0.0
    truth_there: float = 0.0
    trials: int = 0
    empty: int = 0  # keeps without a gain
    experiments: int = 0
    dropped: int = 0

    def run(self) -> "Night":
        self.spent: dict[str, float] = defaultdict(float)  # seconds of slots
        self.ready, self.promoted = deque[Candidate](), deque[Candidate]()
        self.idle: dict[str, int] = {SCREEN: self.screens, CONFIRM: self.confirms}
        self.noise = self.noise_there = judge.noise([], EARLIER)
        self.versions, self.incumbents_there = list[list[Draw]](), list[list[Draw]]()
        self.past, self.past_there = list[tuple[float, float]](), list[tuple[float, float]]()
        self.fresh = [self._draw(0.0) for _ in range(BASE_TRIALS)]
        self.selecting, self.judged = list[Draw](), list[list[Draw]]()
        self.references, self.referring = list[Draw](), 0
        self._learn_noise()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.sequence, self.is_asking = 0, False
        self._serve()
        while self.events and self.events[0][0] <= self.seconds:
            self.now, _, happen = heapq.heappop(self.events)
            happen()
            self._serve()
        slots = self.screens + self.confirms
        self.spent["idle"] = slots * self.seconds - sum(self.spent.values())
        return self

    # --- what happens

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.events, (self.now + seconds, self.sequence, happen))

    def _serve(self) -> None:
        """Let the agent think, and each idle slot take what it can."""
        takers = self.screens or self.confirms
        if not self.is_asking and len(self.ready) < takers:
            self.is_asking = True
            self._after(LATENCY_S, self._propose)
        while self.idle[SCREEN] and self.ready and len(self.promoted) < MAX_WAITING * self.confirms:
            self.idle[SCREEN] -= 1
            self._screen(self.ready.popleft())
        queue = self.promoted if self.screens else self.ready
        while self.idle[CONFIRM] and queue:
            self.idle[CONFIRM] -= 1
            self._confirm(queue.popleft())

    def _propose(self) -> None:
        self.is_asking = False
        self.ready.extend(self._idea() for _ in range(self.proposals))

    def _idea(self) -> Candidate:
        u, gain, harm = self.rng.random(), self.rng.uniform(0.5, 4.0), self.rng.expovariate(1 / 3)
        effect = -gain if u < GOOD else harm if u < GOOD + HARMFUL else 0.0
        own = self.rng.gauss(0, 3.0)
        there = self.correlation * effect + math.sqrt(1 - self.correlation**2) * own
        return Candidate(effect, there, self.number)

    def _trial(self, pool: str, purpose: str, then: Callable[[], None]) -> None:
        def end() -> None:
            self.spent[purpose] += TRIAL_S + OVERHEAD_S
            then()

        self._after(TRIAL_S + OVERHEAD_S, end)

    def _draw(self, truth: float) -> Draw:
        self.trials += 1
        return Draw(truth + self.rng.gauss(0, 1), self.trials, self.trials)

    def _free(self, pool: str) -> None:
        self.idle[pool] += 1

    def _is_superseded(self, candidate: Candidate, pool: str) -> bool:
        """Make the change again on the newer incumbent, if there is one."""
        if candidate.incumbent == self.number:
            return False
        self.ready.appendleft(Candidate(candidate.effect, candidate.effect_there, self.number))
        self._free(pool)
        return True

    def _learn_noise(self) -> None:
        """Estimate the noise of each pool from the repeated trials there."""
        self.noise = judge.noise([*self.versions, self.fresh], EARLIER)
        self.noise_there = judge.noise([*self.incumbents_there, self.references], EARLIER)

    # --- screening elsewhere

    def _screen(self, candidate: Candidate) -> None:
        candidate.incumbent = candidate.incumbent if candidate.prescreened else self.number
        if len(self.references) + self.referring < (REFERENCES if self.number else BASE_TRIALS):
            self.referring += 1
            number = self.number
            self._trial(SCREEN, "references", lambda: self._refer(candidate, number))
        elif not candidate.prescreened:
            candidate.prescreened = True
            self._trial(SCREEN, "prescreens", lambda: self._decide_there(candidate))
        else:
            self._decide_there(candidate)

    def _refer(self, candidate: Candidate, number: int) -> None:
        if number == self.number:
            self.referring -= 1
            self.references.append(self._draw(self.truth_there))
            self._learn_noise()
        self._screen(candidate)

    def _decide_there(self, candidate: Candidate) -> None:
        if self._is_superseded(candidate, SCREEN):
            return
        if not self.references:
            self.references.append(self._draw(self.truth_there))
        draw = [self._draw(self.truth_there + candidate.effect_there)]
        decision = judge.decide("default", draw, self.references, self.noise_there, judge.learn(self.past_there))
        self.past_there.append((decision.delta / self.noise_there.sigma, decision.p_gain))
        if decision.action != "discard" or self.rng.random() < AUDITED_SHARE:
            self.promoted.append(candidate)
        else:
            self.experiments += 1
            self.dropped += 1
        self._free(SCREEN)

    # --- where versions are kept

    def _confirm(self, candidate: Candidate) -> None:
        if not candidate.draws and not self.screens:
            candidate.incumbent = self.number
        if not self._is_superseded(candidate, CONFIRM):
            purpose = "re-runs" if candidate.draws else "screenings"
            self._trial(CONFIRM, purpose, lambda: self._measured(candidate))

    def _measured(self, candidate: Candidate) -> None:
        if not self._is_superseded(candidate, CONFIRM):
            candidate.draws.append(self._draw(self.truth + candidate.effect))
            self._decide(candidate)

    def _compared(self, candidate: Candidate) -> None:
        if not self._is_superseded(candidate, CONFIRM):
            self.fresh.append(self._draw(self.truth))
            self._learn_noise()
            self._decide(candidate)

    def _decide(self, candidate: Candidate) -> None:
        beliefs = judge.learn(self.past)
        known = Incumbent(self.fresh, self.selecting, self.judged).with_summary(self.noise, beliefs)
        decision = judge.decide("default", candidate.draws, known, self.noise, beliefs)
        if decision.action == "run_again":
            return self._confirm(candidate)
        if decision.action == "compare":
            return self._trial(CONFIRM, "incumbent beside", lambda: self._compared(candidate))
        self.experiments += 1
        self.past.append((decision.delta / self.noise.sigma, decision.p_gain))
        if decision.action == "keep":
            self._keep(candidate)
        else:
            self.judged.append(candidate.draws)
            if len(candidate.draws) > 2:
                self.versions.append(candidate.draws[1:])
                self._learn_noise()
        return self._free(CONFIRM)

    def _keep(self, candidate: Candidate) -> None:
        self.number += 1
        self.truth += candidate.effect
        self.truth_there += candidate.effect_there
        self.empty += candidate.effect >= 0
        self.versions.append(self.fresh)
        self.incumbents_there.append(self.references)
        self.selecting, self.fresh = candidate.draws[:1], list(candidate.draws[1:])
        self.judged, self.references, self.referring = [], [], 0
        self._learn_noise()


def describe(name: str, nights: list[Night]) -> str:
    """Return one row: means over nights."""
    total = fmean(sum(night.spent.values()) for night in nights)
    shares = [f"{fmean(night.spent[part] for night in nights) / total:.0%}" for part in PARTS]
    experiments, dropped = fmean(night.experiments for night in nights), fmean(night.dropped for night in nights)
    keeps, empty = fmean(night.number for night in nights), fmean(night.empty for night in nights)
    gain = -fmean(night.truth for night in nights)
    numbers = f"{experiments:.0f} | {dropped:.0f} | {keeps:.1f} | {empty:.1f} | {gain:.1f}"
    return f"| {name} | {numbers} | {' | '.join(shares)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--correlation", type=float, nargs="+", default=[1.0, 0.5])
    args = parser.parse_args()
    columns = ["slots", *COLUMNS, *PARTS]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    plans = [(f"13 + 3, correlation {each:g}", 13, 3, each) for each in args.correlation]
    plans += [("13 of one kind", 0, 13, 1.0), ("3 of one kind", 0, 3, 1.0), ("16 of one kind", 0, 16, 1.0)]
    for proposals in (1, 3):
        for name, screens, confirms, correlation in plans:
            made = (
                Night(screens, confirms, proposals, correlation, random.Random(seed), 3600 * args.hours)
                for seed in range(args.nights)
            )
            words = f"{name}, {proposals} from a conversation"
            print(describe(words, [night.run() for night in made]), flush=True)


if __name__ == "__main__":
    main()
