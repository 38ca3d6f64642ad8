"""Compare researchers without a language model on a surrogate of real short trials, through the real judge.

    python benchmarks/sweep_compare.py BANK.jsonl ... [--seeds 8] [--trials 60] [--only NAME ...]

Each seed is a night of so many trials: replicates of the base, screenings, re-runs and trials of the incumbent are all
counted. What a night ends with is the true value (of the surrogate) of its final version. `plain` TPE and random
search have no judge: every trial is a new point, and their result is the lowest number that they saw.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
from cpu_base import BASES
from judge import Machine, SimulatedSession, World
from sweep_surrogate import Surrogate, read
from sweep_trials import move

from autoresearch.agents.sweep.sweep_agent import Sweep, knobs
from autoresearch.source.constants import constants, with_constants

PLANNED_LOG2 = 1.0  # reach of TPE and random search in each direction, as in common use
WORLDS = {"quiet": World(), "busy": World(chance=0.15)}


@dataclass
class Brief:
    """What `sweep` reads of a brief."""

    n: int
    seed: int
    source: str
    sigma: float
    history: list["Past"]
    feedback: list[Any] = field(default_factory=list)
    source_n: int | None = None


@dataclass
class Past:
    """What `sweep` reads of an experiment."""

    n: int
    verdict: str
    delta: float | None
    params: dict[str, Any]
    agent: str = "sweep"
    forecast: float | None = None
    sigma: float | None = None
    parent: int | None = None


@dataclass
class Sweeping:
    """`sweep`, asked as in a session."""

    seed: int
    sigma: float
    history: list[Past] = field(default_factory=lambda: [Past(0, "keep", None, {}, "base")])

    def propose(self, source: str) -> str:
        n = len(self.history)
        self.asked = Sweep().propose(Brief(n, self.seed, source, self.sigma, self.history))
        return self.asked.text

    def tell(self, verdict: str, delta: float | None, score: float) -> None:
        rounded = None if delta is None else round(delta, 4)
        self.history.append(Past(len(self.history), verdict, rounded, dict(self.asked.params), sigma=self.sigma))


@dataclass
class Sampling:
    """A sampler of Optuna over all constants around the base, each within a factor of two."""

    sampler: optuna.samplers.BaseSampler
    text: str

    def __post_init__(self) -> None:
        self.study = optuna.create_study(sampler=self.sampler)
        self.knobs = knobs(self.text)

    def propose(self, source: str) -> str:
        self.asked = self.study.ask()
        reach = PLANNED_LOG2
        moves = {knob.constant.name: self.asked.suggest_float(knob.key, -reach, reach) for knob in self.knobs}
        return with_constants(self.text, {k.constant.name: move(k, moves[k.constant.name]) for k in self.knobs})

    def tell(self, verdict: str, delta: float | None, score: float) -> None:
        self.study.tell(self.asked, 10.0 if delta is None else score)


def tpe(seed: int, **options: bool) -> optuna.samplers.TPESampler:
    return optuna.samplers.TPESampler(seed=seed, **options)


Researcher = Sweeping | Sampling
RESEARCHERS: dict[str, Callable[[int, str, float], Researcher]] = {
    "sweep": lambda seed, text, sigma: Sweeping(seed, sigma),
    "TPE": lambda seed, text, sigma: Sampling(tpe(seed), text),
    "TPE, multivariate": lambda seed, text, sigma: Sampling(tpe(seed, multivariate=True), text),
    "random": lambda seed, text, sigma: Sampling(optuna.samplers.RandomSampler(seed=seed), text),
}


@dataclass
class Night:
    """A night on the surrogate; scores of the simulated machine are in units of sigma, above the base's value."""

    truth: Surrogate
    text: str
    sigma: float
    world: World

    def value(self, text: str) -> float:
        """Return the true value of a version in bits per byte; infinite if it fails."""
        return self.truth.of_values({constant.name: constant.value for constant in constants(text)})

    def judged(self, researcher: Researcher, seed: int, trials: int) -> tuple[float, int]:
        """Run a session; return the value of its final version and the number of its keeps."""
        session = SimulatedSession("default", self.world, seed, trials)
        self.incumbent = self.text
        session.run(self._proposals(session, researcher))  # type: ignore[arg-type]
        return self.value(self.incumbent), len(session.effects)

    def _proposals(self, session: SimulatedSession, researcher: Researcher) -> Iterator[float]:
        """Yield the true effect of each proposal, and tell the researcher what the judge made of it."""
        start = self.value(self.text)
        while True:
            version = researcher.propose(self.incumbent)
            effect = (self.value(version) - self.value(self.incumbent)) / self.sigma
            if math.isinf(effect):
                session.machine.spent += 1
                if session.machine.spent >= session.trials:
                    return
                researcher.tell("crash", None, math.inf)
                continue
            kept = len(session.effects)
            yield effect
            delta = session.past[-1][0] * self.sigma
            is_kept = len(session.effects) > kept
            score = start + self.sigma * fmean(draw.score for draw in session.incumbent) + (0 if is_kept else delta)
            researcher.tell("keep" if is_kept else "discard", delta, score)
            if is_kept:
                self.incumbent = version

    def plain(self, researcher: Sampling, seed: int, trials: int) -> tuple[float, int]:
        """Spend all trials on new points; return the value of the lowest number, and 0 keeps."""
        machine, start = Machine(random.Random(f"machine {seed}"), self.world), self.value(self.text)
        best = 0.0, self.text
        for _ in range(trials):
            version = researcher.propose(self.text)
            value = self.value(version)
            if math.isinf(value):
                researcher.tell("crash", None, math.inf)
                continue
            score = machine.trial((value - start) / self.sigma).score
            researcher.tell("discard", 0.0, score)
            best = min(best, (score, version))
        return self.value(best[1]), 0


def only_constants(text: str) -> str:
    """Return a text with nothing but the constants: all that is read here, and quick to parse."""
    return "".join(f"{constant.name} = {constant.spelling}\n" for constant in constants(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("banks", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--world", choices=list(WORLDS), default="quiet")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    bank = read(options.banks)
    truth = Surrogate(bank)
    sigma = fmean(stdev(scores) for scores in bank.replicates.values() if len(scores) > 2)
    print(f"{len(bank.y)} trials, sigma {sigma:.4f}, {options.seeds} nights of {options.trials} trials")
    print("| base | researcher | gain | +- | keeps |\n|---|---|---|---|---|")
    for name, make_base in BASES.items():
        text = only_constants(make_base())
        night = Night(truth, text, sigma, WORLDS[options.world])
        start = night.value(text)
        print(f"| {name} | (the base: {start:.4f}) | | | |")
        for researcher, make in RESEARCHERS.items():
            if options.only and researcher not in options.only:
                continue
            runs = [("judged", night.judged)]
            if researcher != "sweep":
                runs.append(("plain", night.plain))  # type: ignore[arg-type]
            for mode, play in runs:
                played = [play(make(seed, text, sigma), seed, options.trials) for seed in range(options.seeds)]
                gains = [value - start for value, _ in played]
                error = stdev(gains) / len(gains) ** 0.5
                keeps = fmean(keeps for _, keeps in played)
                print(
                    f"| {name} | {researcher}, {mode} | {fmean(gains):+.4f} | {error:.4f} | {keeps:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
